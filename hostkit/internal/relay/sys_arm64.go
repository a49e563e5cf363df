package relay

const sysSetns = 268
