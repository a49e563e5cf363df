/** A script that gives Docker the image `tiny`, of programs that the box itself has, since no registry is asked. */
export const importTinyImage = `
work=$(mktemp -d); cd "$work"; mkdir -p root/bin
for program in sh cat; do
  cp -L "$(command -v $program)" root/bin/
  ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "root$(dirname "$library")"
    cp -L "$library" "root$library"
  done
done
tar -c -C root . | docker import - tiny
`
