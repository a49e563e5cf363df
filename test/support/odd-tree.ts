/** Shell lines for a box of the small image. */

/** Makes files in a directory of which each is lost by some way of copying. */
export const oddFilesIn = (dir: string): string => `mkdir -p ${dir}/deep/er; cd ${dir}
echo hello > file; ln file same; ln -s ../nowhere link; mkfifo pipe
printf 'a program' > program; chmod 4755 program
echo theirs > theirs; chown 65000:64000 theirs
truncate -s 32M sparse; printf middle | dd of=sparse bs=1M seek=15 conv=notrunc 2>/dev/null
printf x > "$(printf 'no text \\377')"
chmod 1777 deep; touch -h -d @1000000000 * deep/er .`

export const oddFiles = oddFilesIn('/work')

/** Gives some of them attributes, where the file system has those: one of a user, an access list, a capability. There is no `setfattr` and no `setfacl`. */
export const oddAttributesIn = (dir: string): string => `cd ${dir}
rules='user::rw-
user:1234:r--
group::r--
mask::r--
other::---'
tar -c --format=posix --pax-option='SCHILY.xattr.user.note:=a note' file | tar -x --xattrs --xattrs-include='user.*'
tar -c --format=posix --pax-option="SCHILY.acl.access:=$rules" theirs | tar -x --acls
ln -f file same; setcap cap_net_raw+ep "$(printf 'no text \\377')"
touch -h -d @1000000000 * .`

/** Prints one line about all that has to survive: names, content, modes, owners, times, links, extended attributes. */
export const checksumOf = (...dirs: readonly string[]): string =>
  `tar --create --sort=name --format=posix --pax-option=exthdr.name=%f,delete=atime,delete=ctime --numeric-owner --xattrs --xattrs-include='*' -C / ${dirs.join(' ')} | sha256sum`

export const checksumOfTree = checksumOf('work')
