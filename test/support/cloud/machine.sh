# Process 1 of a machine: its disk is what it has changed ($1/disk), its system is what is below $2, as that of this host. Runs in namespaces of its own.
set -eu
own=$1 system=$2
mkdir -p "$own/disk" "$own/work" "$own/root"
mount -t overlay overlay -o "lowerdir=$system,upperdir=$own/disk,workdir=$own/work" "$own/root"
cd "$own/root"
mount -t proc proc proc
mount --rbind /dev dev
# What is the host's business.
for dir in run tmp work mnt root srv var/tmp; do if [ -d "$dir" ]; then mount -t tmpfs tmpfs "$dir"; fi; done
chmod 1777 tmp var/tmp
mkdir -p run/sshd run/told
cp -r "$own/told/." run/told
hostname -F run/told/hostname
exec chroot . sh /run/told/init
