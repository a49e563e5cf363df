package rootfs

const sysSyncfs = 306
