# SPDX-License-Identifier: MIT
# docs/first-day.md: every command of the page runs, and prints what the page says but for numbers and the order of layers.
# UPDATE=1 writes what they print into the page.
[ "$(uname -m)" = x86_64 ] || exit 77
page=$root/docs/first-day.md
cp "$root"/samples/fashion/*.onnx "$root"/samples/fashion/*.npy .
PATH=$(dirname "$vitqc"):$PATH
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" >main.c
# the page with the outputs of now
block=no
while IFS= read -r line; do
	case $line in
	'```console') block=yes ;;
	'```'*) block=no ;;
	esac
	case $block$line in
	'yes$ '*)
		printf '%s\n' "$line"
		NO_COLOR=1 sh -c "${line#??}" 2>&1 || echo "(exit code $?)"
		;;
	'yes```console' | no*) printf '%s\n' "$line" ;;
	esac
done <"$page" >now.md
same_words() {
	sed -E 's|/[a-z]+(/[A-Za-z0-9_.]+)+|NODE|g; s/NODE(_output_[0-9]*)?( +NODE)? +\([A-Za-z]+\)/NODE/; s/[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/N/g; s/\b[sf]N\[[^]]*\]/T/g; s/#N//g; s/ +/ /g; s/ $//' "$1"
}
same_words "$page" >want.txt
same_words now.md >got.txt
if [ -n "${UPDATE:-}" ]; then
	cp now.md "$page"
elif ! cmp -s want.txt got.txt; then
	fail "the page and the commands differ (UPDATE=1 rewrites the page):"
	diff want.txt got.txt
fi
grep -q 'exit code' now.md && fail "a command fails"
# the program's logit is that of -run
logit=$(sed -n 's/^code 0, class [0-9]*: \([-0-9.]*\)$/\1/p' now.md)
grep -q "^sample 0 .*; largest $logit at" now.md || fail "the program's logit $logit is not that of -run"
