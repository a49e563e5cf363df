#!/bin/sh
# make-image.sh OUT [TREE]: makes OUT/disk.qcow2, OUT/vmlinuz and OUT/initrd, which `gibil hetzner-sim --images` boots.
# Without TREE it is Debian 12 as a cloud has it, and what a box wants (Docker, git, PostgreSQL, Redis), since a machine of the simulator reaches
# no mirror. TREE is a root file system of Debian 12 with systemd, cloud-init, sshd and isc-dhcp-client; it is changed.
# Needs root, apt, e2fsprogs and qemu-utils; mmdebstrap without TREE.
set -eu
PATH=$PATH:/usr/sbin:/sbin
packages=apparmor,ca-certificates,cloud-guest-utils,cloud-init,curl,dbus,docker.io,git,ifupdown,iproute2,iptables,isc-dhcp-client,kmod,libpam-systemd
packages=$packages,openssh-server,postgresql,procps,python3,redis-server,rsync,sudo,systemd-sysv,udev,unzip
# With the network card, which cloud-init looks for once and early: on a busy host udev may come later.
modules='drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci_modern_dev
drivers/virtio/virtio_pci drivers/block/virtio_blk net/core/failover drivers/net/net_failover drivers/net/virtio_net'

out=${1:?make-image.sh OUT [TREE]}
tree=${2:-}
mkdir -p "$out"
out=$(cd "$out" && pwd -P)
work=$(mktemp -d "$out/.making-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs"

# Before anything else: it is what fails where there is no mirror.
apt-cache show linux-image-cloud-amd64 > /dev/null 2>&1 || apt-get update -qq
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
(cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download "$kernel" busybox-static ifupdown apparmor)
dpkg-deb -x "$work"/debs/linux-image-*.deb "$work/kernel"
dpkg-deb -x "$work"/debs/busybox-static_*.deb "$work/busybox"

if [ -z "$tree" ]; then
  tree=$work/tree
  # cloud-init looks for the list of aliases below the translations.
  mmdebstrap --mode=root --variant=apt --include="$packages" --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-include=/usr/share/locale/locale.alias' bookworm "$tree" >&2
fi
# Debian's servers at Hetzner have their network by ifupdown; and this kernel has AppArmor, without whose tools Docker runs nothing on it.
for package in ifupdown apparmor; do
  [ -e "$tree/var/lib/dpkg/info/$package.list" ] && continue
  cp "$work/debs/${package}"_*.deb "$tree/added.deb"
  DEBIAN_FRONTEND=noninteractive chroot "$tree" dpkg -i /added.deb > /dev/null
  rm "$tree/added.deb"
done
version=${kernel#linux-image-}
mkdir -p "$tree/lib/modules"
cp -a "$work/kernel/lib/modules/$version" "$tree/lib/modules/"
chroot "$tree" /sbin/depmod "$version"
# There is neither a locale to be made nor a boot loader to be told of disks, and cloud-init takes long to find that.
printf 'locale: "false"\ngrub_dpkg: {enabled: false}\n' > "$tree/etc/cloud/cloud.cfg.d/90_hetzner-sim.cfg"
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/hostname"
# Empty, as in images of clouds: if it were not there systemd would enable all that it has, and then wait for a network that it does not manage.
: > "$tree/etc/machine-id"

# An initial root file system that mounts the disk and goes on there.
initrd=$work/initrd
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/root"
cp "$(find "$work/busybox" -type f -path "*/bin/busybox")" "$initrd/bin/busybox"
{
  printf '#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n'
  for module in $modules; do
    cp "$work/kernel/lib/modules/$version/kernel/$module.ko" "$initrd/"
    printf '/bin/busybox insmod /%s.ko\n' "${module##*/}"
  done
  printf 'until /bin/busybox mount -t ext4 /dev/vda /root; do /bin/busybox sleep 0.1; done\n'
  printf '/bin/busybox umount /dev\nexec /bin/busybox switch_root /root /sbin/init\n'
} > "$initrd/init"
chmod 755 "$initrd/init"
(cd "$initrd" && find . | ./bin/busybox cpio -o -H newc) > "$out/initrd" 2> /dev/null
cp "$work/kernel/boot/vmlinuz-$version" "$out/vmlinuz"

size=$(($(du -smx "$tree" | cut -f 1) * 12 / 10 + 128))
mke2fs -q -t ext4 -m 0 -i 8192 -E lazy_itable_init=1,nodiscard,root_owner=0:0 -d "$tree" "$work/raw" "${size}M"
qemu-img convert -O qcow2 "$work/raw" "$work/disk"
mv "$work/disk" "$out/disk.qcow2"
