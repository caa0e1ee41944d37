#!/bin/sh
# exits.sh CODE COMMAND...: runs the command and fails unless it exits with
# CODE. As %exits in lit tests: `not` only tells zero from other codes, but the
# tools' exit codes are a contract.
expected=$1
shift
"$@"
code=$?
[ "$code" = "$expected" ] && exit 0
echo "exits.sh: exit code $code, expected $expected: $*" >&2
exit 1
