# SPDX-License-Identifier: MIT
# a signal in the middle leaves nothing; calibration on all samples with the evaluator takes long enough
"$vitqc" "$model" -calib="$root/samples/fashion/calib_images.npy" -image-mean=0.28 -image-std=0.35 -calib-executor=evaluator \
	-calib-stats=stats.json -o x.o >out 2>err &
pid=$!
tries=0
while [ $tries -lt 100 ] && [ -z "$(find . -name 'stats.json.*')" ]; do
	sleep 0.02
	tries=$((tries + 1))
done
kill -TERM $pid 2>/dev/null || { echo "it was over too soon"; exit 77; }
wait $pid
code=$?
[ $code -eq 143 ] || fail "exit code $code, expected 143 (SIGTERM)"
only
