package rootfs

const sysSyncfs = 267
