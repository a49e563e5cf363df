package jobs

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

// Spec says what to run. Absent fields take the configured defaults.
type Spec struct {
	Argv      []string          `json:"argv"`
	Cwd       string            `json:"cwd"`
	Env       map[string]string `json:"env"`
	User      string            `json:"user"`
	Tty       *Size             `json:"tty"`
	Stdin     bool              `json:"stdin"`
	TimeoutMs int64             `json:"timeoutMs"`
	Label     string            `json:"label"`
	RingBytes int               `json:"ringBytes"`
	Attach    bool              `json:"attach"`
	// Builtin names a program that boxd itself has, which runs as the user; argv is then absent.
	Builtin string `json:"builtin"`
	// HangUp ends input and output when the last client leaves, as a terminal or a pipe does whose other side is gone.
	HangUp bool `json:"hangUp"`
}

// BuiltinPrefix is before the name of a program of boxd's own, as what it is started as.
const BuiltinPrefix = "gibil-"

// builtins are programs that boxd is when it is started by their names: see main.
var builtins = map[string]bool{"sftp": true}

// self is the file of boxd, wherever the box has it: the child of a fork has it too.
const self = "/proc/self/exe"

const (
	defaultRingBytes = 1 << 20
	maxRingBytes     = 16 << 20
	maxLabelBytes    = 1 << 10
	maxTimeoutMs     = 400 * 24 * 3600 * 1000
	// DefaultPath is where commands are looked up when boxd itself was given no PATH.
	DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

func (s *Spec) check() error {
	if s.Builtin != "" {
		if !builtins[s.Builtin] || len(s.Argv) > 0 {
			return fault.New(fault.InvalidRequest, "boxd has no program %q of its own, or argv was given too.", s.Builtin)
		}
		s.Argv = []string{BuiltinPrefix + s.Builtin}
	}
	switch {
	case len(s.Argv) == 0 || s.Argv[0] == "":
		return fault.New(fault.InvalidRequest, "argv is empty.")
	case s.TimeoutMs < 0 || s.TimeoutMs > maxTimeoutMs:
		return fault.New(fault.InvalidRequest, "timeoutMs must be 0 (none) to 400 days.")
	case s.RingBytes < 0 || s.RingBytes > maxRingBytes:
		return fault.New(fault.InvalidRequest, "ringBytes must be at most 16 MiB.")
	case len(s.Label) > maxLabelBytes:
		return fault.New(fault.InvalidRequest, "A label has at most 1 KiB.")
	}
	for _, argument := range s.Argv {
		if strings.IndexByte(argument, 0) >= 0 {
			return fault.New(fault.InvalidRequest, "An argument holds a NUL byte.")
		}
	}
	if strings.IndexByte(s.Cwd, 0) >= 0 {
		return fault.New(fault.InvalidPath, "cwd holds a NUL byte.")
	}
	if s.RingBytes == 0 {
		s.RingBytes = defaultRingBytes
	}
	if err := CheckEnv(s.Env); err != nil {
		return err
	}
	if s.Tty != nil {
		return s.Tty.check()
	}
	return nil
}

// CheckEnv refuses names and values that no environment can hold.
func CheckEnv(env map[string]string) error {
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return fault.New(fault.InvalidRequest, "%q is not an environment variable.", name)
		}
	}
	return nil
}

// environment: what every login has, then the configured defaults, then the command's own.
func environment(user users.User, tty bool, layers ...map[string]string) (list []string, searchPath string) {
	env := map[string]string{
		"HOME": user.Home, "USER": user.Name, "LOGNAME": user.Name, "SHELL": user.Shell, "LANG": "C.UTF-8", "PATH": DefaultPath,
	}
	if own := os.Getenv("PATH"); own != "" {
		env["PATH"] = own
	}
	if tty {
		env["TERM"] = "xterm-256color"
	}
	for _, layer := range layers {
		for name, value := range layer {
			env[name] = value
		}
	}
	list = make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list, env["PATH"]
}

// directory finds where a command runs: where it asks to, else where commands usually do, which is of the user whose box it is and need not be there for
// another; then his home, or "/".
func directory(user users.User, asked, configured string) (string, error) {
	if asked == "" {
		for _, dir := range []string{configured, user.Home} {
			if dir = within(user.Home, dir); isDirectory(dir) {
				return filepath.Clean(dir), nil
			}
		}
		return "/", nil
	}
	dir := within(user.Home, asked)
	if !isDirectory(dir) {
		return "", fault.New(fault.CommandNotFound, "The working directory %s does not exist.", dir)
	}
	return filepath.Clean(dir), nil
}

func within(home, dir string) string {
	switch {
	case dir == "":
		return home
	case dir == "~" || strings.HasPrefix(dir, "~/"):
		return home + dir[1:]
	case path.IsAbs(dir):
		return dir
	}
	return path.Join(home, dir)
}

func isDirectory(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR
}

// program finds the file to execute. A name with a slash is taken as it is, relative to dir.
func program(name, searchPath, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	found := false
	for _, place := range strings.Split(searchPath, ":") {
		if !path.IsAbs(place) {
			place = path.Join(dir, place)
		}
		file := path.Join(place, name)
		var st syscall.Stat_t
		if syscall.Stat(file, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		if found = true; st.Mode&0o111 != 0 {
			return file, nil
		}
	}
	if found {
		return "", fault.New(fault.PermissionDenied, "%s is in the PATH but not executable.", name)
	}
	return "", fault.New(fault.CommandNotFound, "The box has no command %q in its PATH.", name)
}
