# SPDX-License-Identifier: MIT
"""Sentences as token ids of the uncased English vocabulary that BERT and its relatives share; [CLS] is 101, [SEP] 102."""

TEST = [
    # The cat sits outside.
    [101, 1996, 4937, 7719, 2648, 1012, 102],
    # A man is playing guitar.
    [101, 1037, 2158, 2003, 2652, 2858, 1012, 102],
    # The new movie is awesome.
    [101, 1996, 2047, 3185, 2003, 12476, 1012, 102],
    # A feline rests in the garden.
    [101, 1037, 10768, 4179, 16626, 1999, 1996, 3871, 1012, 102],
    # Someone plays a musical instrument on stage.
    [101, 2619, 3248, 1037, 3315, 6602, 2006, 2754, 1012, 102],
    # The film was great fun.
    [101, 1996, 2143, 2001, 2307, 4569, 1012, 102],
    # Compilers translate programs into machine code.
    [101, 21624, 2015, 17637, 3454, 2046, 3698, 3642, 1012, 102],
    # The stock market fell by three percent on Monday.
    [101, 1996, 4518, 3006, 3062, 2011, 2093, 3867, 2006, 6928, 1012, 102],
    # Boil the pasta for ten minutes, then add salt and olive oil.
    [101, 26077, 1996, 24857, 2005, 2702, 2781, 1010, 2059, 5587, 5474, 1998, 9724, 3514, 1012, 102],
    # Where is the nearest railway station?
    [101, 2073, 2003, 1996, 7205, 2737, 2276, 1029, 102],
    # The telescope showed a galaxy twelve billion light years away.
    [101, 1996, 12772, 3662, 1037, 9088, 4376, 4551, 2422, 2086, 2185, 1012, 102],
    # She forgot her umbrella, and of course it rained all afternoon in the city.
    [101, 2016, 9471, 2014, 12977, 1010, 1998, 1997, 2607, 2009, 28270, 2035, 5027, 1999, 1996, 2103, 1012, 102],
    # Quantization maps real numbers to a small set of integers.
    [101, 24110, 3775, 9276, 7341, 2613, 3616, 2000, 1037, 2235, 2275, 1997, 24028, 1012, 102],
    # Our flight was delayed because of fog.
    [101, 2256, 3462, 2001, 8394, 2138, 1997, 9666, 1012, 102],
    # Trees lose their leaves in autumn.
    [101, 3628, 4558, 2037, 3727, 1999, 7114, 1012, 102],
    # He repaired the old bicycle with parts from a friend.
    [101, 2002, 13671, 1996, 2214, 10165, 2007, 3033, 2013, 1037, 2767, 1012, 102],
]
CALIBRATION = [
    # Children played football in the park until it was dark.
    [101, 2336, 2209, 2374, 1999, 1996, 2380, 2127, 2009, 2001, 2601, 1012, 102],
    # I would like to book a table for two.
    [101, 1045, 2052, 2066, 2000, 2338, 1037, 2795, 2005, 2048, 1012, 102],
    # Water freezes at zero degrees Celsius.
    [101, 2300, 13184, 2015, 2012, 5717, 5445, 8292, 4877, 4173, 1012, 102],
    # The report describes how the bridge was built in 1932, and why it had to be closed ten years later.
    [101, 1996, 3189, 5577, 2129, 1996, 2958, 2001, 2328, 1999, 4673, 1010, 1998, 2339, 2009, 2018, 2000, 2022, 2701,
     2702, 2086, 2101, 1012, 102],
    # Music was playing.
    [101, 2189, 2001, 2652, 1012, 102],
    # Please send me the documents by Friday.
    [101, 3531, 4604, 2033, 1996, 5491, 2011, 5958, 1012, 102],
    # The doctor told him to rest.
    [101, 1996, 3460, 2409, 2032, 2000, 2717, 1012, 102],
    # Prices for electricity have doubled since last year.
    [101, 7597, 2005, 6451, 2031, 11515, 2144, 2197, 2095, 1012, 102],
]
