package sys

const sysStatx = 332
