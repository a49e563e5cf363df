package files

// Numbers of system calls that the syscall package does not know.
const (
	sysOpenat2   = 437
	sysRenameat2 = 316
)
