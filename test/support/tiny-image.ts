/**
 * A line for a shell in a box that makes a container image called `tiny` of programs of the box, since no registry is asked: sh, cat and
 * those that are named.
 */
export const makeTinyImage = (...programs: readonly string[]): string => `
work=$(mktemp -d); cd "$work"; mkdir -p root/bin
for program in sh cat ${programs.join(' ')}; do
  cp -L "$(command -v $program)" root/bin/
  ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "root$(dirname "$library")"; cp -L "$library" "root$library"
  done
done
tar -c -C root . | docker import - tiny >/dev/null
`
