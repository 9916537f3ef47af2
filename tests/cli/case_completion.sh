# SPDX-License-Identifier: MIT
# frontend/completion.bash: every option is offered, every word offered for one is understood
command -v bash >/dev/null || exit 77
# complete WORD…: what is offered for the last one
complete() {
	bash -c '
		. "$0"
		compopt() { :; }
		program=$1
		shift
		COMP_WORDS=("$program" "$@")
		COMP_CWORD=$#
		_vitqc "$program"
		printf "%s\n" "${COMPREPLY[@]}"' "$root/frontend/completion.bash" "$vitqc" "$@"
}
"$vitqc" --help | sed -n 's/^  \(-[A-Za-z-]*=\{0,1\}\).*/\1/p' | sort >want
complete - | sort >got
same want got
[ "$(wc -l <got)" -gt 50 ] || fail "only $(wc -l <got) options are offered"
[ "$(complete -calib-ob)" = "-calib-observer=" ] || fail "-calib-ob becomes '$(complete -calib-ob)'"
[ "$(complete -target = aa)" = aarch64 ] || fail "-target=aa becomes '$(complete -target = aa)'"
[ "$(complete --quant w8a8-)" = w8a8-dynamic ] || fail "--quant w8a8- becomes '$(complete --quant w8a8-)'"
complete -stop = | grep -qx calibrate || fail "-stop= does not offer calibrate"
touch model.onnx
[ "$(complete mod)" = model.onnx ] || fail "mod becomes '$(complete mod)'"
for option in $(sed 's/=$//' want); do
	for value in $(complete "$option" = | grep -v '^model.onnx$\|^want$\|^got$\|^out$\|^err$'); do
		"$vitqc" "$option=$value" >out 2>err && continue # help
		grep -q 'expected one of\|unknown\|is not built' err && fail "$option=$value is offered and refused: $(cat err)"
	done
done
grep -rq 'act-granularity' want || fail "no -act-granularity"
