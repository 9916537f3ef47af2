# SPDX-License-Identifier: MIT
# find_package(vitqc): the compiler of transformers, and vitqc_add_model() to make a library of a model.
#
#   vitqc_add_model(TARGET name MODEL model.onnx
#                   [CALIB images.npy]     # calibration samples: folder, list, .npy or .npz
#                   [QUANT scheme]         # as -quant=
#                   [CPU name]             # as -mcpu=, default VITQC_CPU, then -mcpu= or -march= of CMAKE_C_FLAGS
#                   [PREFIX name]          # first part of the C names, default: the target's name
#                   [WEIGHTS file]         # as -emit-weights=, in the current binary folder if relative
#                   [FLAGS ...])           # any further options of vitqc
#
# makes the static library `name` with one object, and the header <prefix>.h on the include path of what links it. The
# architecture and the float ABI are those of the toolchain. The object is made anew when the model, its external data, a
# calibration file or vitqc itself has changed.
#
# VITQC_EXECUTABLE  the compiler; found on PATH, since it has to run on the machine that builds. Never an imported target: in
#                   a sysroot the program beside this file is for the other machine.
# VITQC_TARGET      as -target=, when the toolchain file does not tell (default: from CMAKE_SYSTEM_PROCESSOR)
# VITQC_CPU         as -mcpu=
# VITQC_FLAGS       a list of options for every model
#
# Also set: VITQC_VERSION, and VITQC_RUNTIME_DIR with vitq_pool.c, the optional thread pool.

get_filename_component(_vitqc_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(VITQC_RUNTIME_DIR "${_vitqc_prefix}/share/vitqc")
set(VITQC_CPU "" CACHE STRING "CPU that models are compiled for (vitqc -mcpu=help)")
set(VITQC_TARGET "" CACHE STRING "target that models are compiled for (vitqc -print-targets)")
set(VITQC_FLAGS "" CACHE STRING "options of vitqc for every model")

if(NOT VITQC_EXECUTABLE AND NOT CMAKE_CROSSCOMPILING)
	find_program(VITQC_EXECUTABLE vitqc HINTS "${_vitqc_prefix}/bin" NO_CMAKE_FIND_ROOT_PATH DOC "the vitqc compiler of this machine")
endif()
if(NOT VITQC_EXECUTABLE)
	find_program(VITQC_EXECUTABLE vitqc NO_CMAKE_FIND_ROOT_PATH DOC "the vitqc compiler of this machine")
endif()
if(NOT VITQC_EXECUTABLE AND CMAKE_CROSSCOMPILING)
	# this file may come from an installation of the building machine: try its program, it tells below whether it runs
	find_program(VITQC_EXECUTABLE vitqc PATHS "${_vitqc_prefix}/bin" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
endif()

set(_vitqc_problem "")
if(NOT VITQC_EXECUTABLE)
	set(_vitqc_problem "no vitqc on PATH: install it for the building machine or set VITQC_EXECUTABLE")
else()
	execute_process(COMMAND "${VITQC_EXECUTABLE}" --version RESULT_VARIABLE _vitqc_result OUTPUT_VARIABLE _vitqc_text ERROR_QUIET)
	if(NOT _vitqc_result STREQUAL "0" OR NOT _vitqc_text MATCHES "vitqc ([0-9.]+)")
		set(_vitqc_problem "${VITQC_EXECUTABLE} does not run on this machine: set VITQC_EXECUTABLE to one that does")
	else()
		set(VITQC_VERSION "${CMAKE_MATCH_1}")
	endif()
endif()
if(_vitqc_problem)
	set(vitqc_FOUND FALSE)
	set(vitqc_NOT_FOUND_MESSAGE "${_vitqc_problem}")
	return()
endif()

# out: -target= and, on Arm, -mfloat-abi= of the toolchain
function(_vitqc_target_flags out)
	if(VITQC_TARGET)
		set(${out} "-target=${VITQC_TARGET}" PARENT_SCOPE)
		return()
	endif()
	string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
	if(processor MATCHES "^(x86_64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
		set(${out} "-target=x86-64" PARENT_SCOPE)
	elseif(processor MATCHES "^(aarch64|arm64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
		set(${out} "-target=aarch64" PARENT_SCOPE)
	elseif(processor STREQUAL "riscv64")
		set(${out} "-target=riscv64" PARENT_SCOPE)
	elseif(processor MATCHES "^(arm|armv7|armv8l|aarch64$)" AND CMAKE_SIZEOF_VOID_P EQUAL 4)
		if(CMAKE_C_FLAGS MATCHES "-mfloat-abi=([a-z]+)")
			set(abi ${CMAKE_MATCH_1})
		else()
			execute_process(COMMAND "${CMAKE_C_COMPILER}" -dumpmachine OUTPUT_VARIABLE machine ERROR_QUIET)
			set(abi softfp)
			if("${machine} ${CMAKE_C_COMPILER_TARGET}" MATCHES "eabihf")
				set(abi hard)
			endif()
		endif()
		if(abi STREQUAL "soft")
			set(abi softfp) # one calling convention; the kernels need NEON all the same
		endif()
		set(${out} -target=armv7 -mfloat-abi=${abi} PARENT_SCOPE)
	else()
		message(FATAL_ERROR "vitqc_add_model: vitqc has no target for CMAKE_SYSTEM_PROCESSOR '${CMAKE_SYSTEM_PROCESSOR}' "
			"(pointers of ${CMAKE_SIZEOF_VOID_P} bytes); set VITQC_TARGET if that is wrong (vitqc -print-targets)")
	endif()
endfunction()

# out: -mcpu=, from what was asked for or from the compiler's flags; one that only gcc knows gives a warning and the baseline
function(_vitqc_cpu_flags out asked target_flags)
	set(${out} "" PARENT_SCOPE)
	if(asked)
		set(${out} "-mcpu=${asked}" PARENT_SCOPE)
		return()
	endif()
	list(GET target_flags 0 target)
	if(CMAKE_C_FLAGS MATCHES "-mcpu=([^ ]+)")
		set(cpu "${CMAKE_MATCH_1}")
	elseif(target STREQUAL "-target=x86-64" AND CMAKE_C_FLAGS MATCHES "-march=([^ ]+)")
		set(cpu "${CMAKE_MATCH_1}")
	else()
		return()
	endif()
	string(REGEX REPLACE "\\+.*" "" name "${cpu}")
	execute_process(COMMAND "${VITQC_EXECUTABLE}" ${target_flags} -mcpu=help OUTPUT_VARIABLE known ERROR_QUIET)
	string(REGEX REPLACE "([.+])" "\\\\\\1" pattern "${name}")
	if(known MATCHES "\n +${pattern} " OR name STREQUAL "native")
		set(${out} "-mcpu=${cpu}" PARENT_SCOPE)
	else()
		message(WARNING "vitqc_add_model: vitqc does not know the CPU '${name}' of CMAKE_C_FLAGS; the model gets the baseline "
			"kernels. Set VITQC_CPU to choose (vitqc ${target} -mcpu=help)")
	endif()
endfunction()

function(vitqc_add_model)
	cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;MODEL;CALIB;QUANT;CPU;PREFIX;WEIGHTS" "FLAGS")
	if(arg_UNPARSED_ARGUMENTS)
		message(FATAL_ERROR "vitqc_add_model: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
	endif()
	foreach(need TARGET MODEL)
		if(NOT arg_${need})
			message(FATAL_ERROR "vitqc_add_model: ${need} is missing")
		endif()
	endforeach()
	if(NOT arg_PREFIX)
		string(MAKE_C_IDENTIFIER "${arg_TARGET}" arg_PREFIX)
	endif()
	if(NOT arg_CPU)
		set(arg_CPU "${VITQC_CPU}")
	endif()
	get_filename_component(model "${arg_MODEL}" ABSOLUTE)
	set(folder "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.vitqc")
	set(object "${folder}/${arg_PREFIX}.o")
	_vitqc_target_flags(target_flags)
	_vitqc_cpu_flags(cpu_flags "${arg_CPU}" "${target_flags}")
	set(flags ${target_flags} ${cpu_flags} ${VITQC_FLAGS} "-prefix=${arg_PREFIX}")
	if(arg_QUANT)
		list(APPEND flags "-quant=${arg_QUANT}")
	endif()
	if(arg_CALIB)
		get_filename_component(calib "${arg_CALIB}" ABSOLUTE)
		list(APPEND flags "-calib=${calib}")
	endif()
	set(weights "")
	if(arg_WEIGHTS)
		get_filename_component(weights "${arg_WEIGHTS}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
		list(APPEND flags "-emit-weights=${weights}")
	endif()
	file(MAKE_DIRECTORY "${folder}")
	if(POLICY CMP0116)
		cmake_policy(SET CMP0116 NEW) # the paths in the dependency file are absolute
	endif()
	add_custom_command(OUTPUT "${object}" "${folder}/${arg_PREFIX}.h" ${weights}
		COMMAND "${VITQC_EXECUTABLE}" "${model}" ${flags} ${arg_FLAGS} -o "${object}" -MD -MF "${object}.d" -MT "${object}"
		DEPENDS "${model}" "${VITQC_EXECUTABLE}"
		DEPFILE "${object}.d"
		COMMENT "Compiling model ${arg_TARGET}"
		VERBATIM)
	set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
	add_library(${arg_TARGET} STATIC "${object}" "${folder}/${arg_PREFIX}.h")
	set_target_properties(${arg_TARGET} PROPERTIES LINKER_LANGUAGE C)
	target_include_directories(${arg_TARGET} INTERFACE "${folder}")
endfunction()
