/** Shell lines for a box of the small image. */

/** Makes files of which each is lost by some way of copying. */
export const oddFiles = `mkdir -p /work/deep/er; cd /work
echo hello > file; ln file same; ln -s ../nowhere link; mkfifo pipe
printf 'a program' > program; chmod 4755 program
echo theirs > theirs; chown 65000:64000 theirs
truncate -s 300M sparse; printf middle | dd of=sparse bs=1M seek=150 conv=notrunc 2>/dev/null
printf x > "$(printf 'no text \\377')"
chmod 1777 deep; touch -h -d @1000000000 * deep/er .`

/** Prints one line about all that has to survive: names, content, modes, owners, times, links, extended attributes. */
export const checksumOfTree =
  "tar --create --sort=name --format=posix --pax-option=exthdr.name=%f,delete=atime,delete=ctime --numeric-owner --xattrs --xattrs-include='*' -C / work | sha256sum"
