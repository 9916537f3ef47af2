# SPDX-License-Identifier: MIT
# Completion of vitqc's options in bash. Options are asked of the program itself, so that they are those of this version.

_vitqc_values() # OPTION: words it takes, none for anything else
{
	case $1 in
	-target) echo x86-64 aarch64 armv7 riscv64 native ;;
	-mcpu) echo native help ;;
	-mattr) echo help ;;
	-mfloat-abi) echo hard softfp ;;
	-emit) echo obj asm llvm vir onnx ;;
	-quant) echo w8a8 w8a8-dynamic none ;;
	-mbranch-protection) echo none standard bti pac-ret ;;
	-fcf-protection) echo none branch return full ;;
	-calib-observer) echo minmax percentile mse ;;
	-calib-executor) echo auto jit evaluator ;;
	-act-granularity) echo auto tensor token ;;
	-fold) echo repq none ;;
	-weight-clip) echo mse max ;;
	-Werror) echo float-fallback ;;
	-image-filter) echo bilinear bicubic ;;
	-image-layout) echo nchw nhwc ;;
	-image-order) echo rgb bgr ;;
	-stop | -passes) "$2" -print-passes 2> /dev/null | sed 's/ .*//' ;;
	esac
}

_vitqc()
{
	local program=$1 word=${COMP_WORDS[COMP_CWORD]} option= before=${COMP_WORDS[COMP_CWORD - 1]}
	local IFS=$' \t\n'

	# bash takes words apart at "="
	if [[ $word == '=' ]]; then
		option=$before word=
	elif [[ $before == '=' ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $before == -* ]]; then
		option=$before
	fi
	option=${option/#--/-}
	COMPREPLY=()
	if [[ $word != -* && -n $(_vitqc_values "$option" "$program") ]]; then
		COMPREPLY=($(compgen -W "$(_vitqc_values "$option" "$program")" -- "$word"))
	elif [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "$("$program" --help 2> /dev/null | sed -n 's/^  \(-[A-Za-z-]*\)\(=\{0,1\}\).*/\1\2/p')" -- "${word/#--/-}"))
		[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2> /dev/null
	else
		compopt -o filenames 2> /dev/null
		COMPREPLY=($(compgen -f -- "$word"))
	fi
}

complete -F _vitqc vitqc
