package sys

const sysSetns = 268
