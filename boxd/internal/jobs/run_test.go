package jobs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

func TestStreamsAndExitCode(t *testing.T) {
	out, err, exit := run(t, newTable(t), sh("echo out; echo err >&2; exit 7"))
	if out != "out\n" || err != "err\n" {
		t.Fatalf("stdout %q, stderr %q", out, err)
	}
	wantExit(t, exit, 7)
	if exit.Signal != nil || exit.TimedOut || exit.DurationMs <= 0 {
		t.Fatal(show(exit))
	}
}

func TestSignalThatEndsIt(t *testing.T) {
	_, _, exit := run(t, newTable(t), sh("kill -KILL $$"))
	if exit.ExitCode != nil || exit.Signal == nil || *exit.Signal != "SIGKILL" {
		t.Fatal(show(exit))
	}
}

func TestEnvironmentHasLayers(t *testing.T) {
	table := newTable(t)
	_ = table.Configure(map[string]string{"A": "default", "B": "default"}, nil, nil)
	spec := sh("echo $A $B $LANG $HOME; test -n \"$PATH\" && test -n \"$USER\" && test \"$USER\" = \"$LOGNAME\" && test -n \"$SHELL\"")
	spec.Env = map[string]string{"B": "own", "HOME": "/elsewhere"}
	out, _, exit := run(t, table, spec)
	wantExit(t, exit, 0)
	if out != "default own C.UTF-8 /elsewhere\n" {
		t.Fatalf("%q", out)
	}
}

func TestProgramIsFoundInThePathOfTheCommand(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "greet"), []byte("#!/bin/sh\necho greetings\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, _, _ := run(t, newTable(t), Spec{Argv: []string{"greet"}, Cwd: "/", Env: map[string]string{"PATH": "/nowhere:" + dir}})
	if out != "greetings\n" {
		t.Fatalf("%q", out)
	}
}

func TestWorkingDirectory(t *testing.T) {
	dir, table := t.TempDir(), newTable(t)
	if err := table.Configure(nil, nil, &dir); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := run(t, table, Spec{Argv: []string{"pwd", "-P"}}); strings.TrimSpace(out) != dir {
		t.Fatalf("configured: %q", out)
	}
	if out, _, _ := run(t, table, Spec{Argv: []string{"pwd", "-P"}, Cwd: "/"}); out != "/\n" {
		t.Fatalf("asked: %q", out)
	}
	user, err := table.users.Lookup(strconv.Itoa(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	if !isDirectory(user.Home) {
		t.Skip("this user has no home")
	}
	if out, _, _ := run(t, table, Spec{Argv: []string{"pwd"}, Cwd: "~"}); strings.TrimSpace(out) != user.Home {
		t.Fatalf("~ is %q, want %q", out, user.Home)
	}
	elsewhere := "~/a directory that this user has not"
	if err := table.Configure(nil, nil, &elsewhere); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := run(t, table, Spec{Argv: []string{"pwd"}}); strings.TrimSpace(out) != user.Home {
		t.Fatalf("where the configured one is not: %q, want %q", out, user.Home)
	}
}

func TestEachLeadsItsOwnSession(t *testing.T) {
	out, _, _ := run(t, newTable(t), sh("cut -d' ' -f1,5,6 /proc/$$/stat"))
	ids := strings.Fields(out)
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Fatalf("pid, group and session are %v", ids)
	}
}

func TestNothingLeaksIntoCommands(t *testing.T) {
	out, _, _ := run(t, newTable(t), sh("ls /proc/self/fd | wc -l; grep -E 'Sig(Ign|Blk)' /proc/self/status"))
	for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
		if fields := strings.Fields(line); strings.Trim(fields[1], "0") != "" {
			t.Fatalf("signals are blocked or ignored: %s", line)
		}
	}
	if fds := strings.Fields(out)[0]; fds != "4" { // 0, 1, 2 and the directory that ls reads
		t.Fatalf("a command has %s descriptors", fds)
	}
}

func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	table := newTable(t)
	spec := sh("id -u; id -g; id -G; echo $HOME")
	spec.User = "12345:54321"
	if out, _, _ := run(t, table, spec); out != "12345\n54321\n54321\n/\n" {
		t.Fatalf("%q", out)
	}
	spec = sh("id -un; cat /etc/shadow")
	spec.User = "nobody"
	if out, _, exit := run(t, table, spec); out != "nobody\n" || *exit.ExitCode == 0 {
		t.Fatalf("%q", out)
	}
}

func TestOtherUserNeedsRoot(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("needs another user than root")
	}
	spec := sh("true")
	spec.User = "root"
	_, _, err := newTable(t).Start(spec, false)
	wantCode(t, err, fault.PermissionDenied)
}

func TestWhatCannotStart(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	table := newTable(t)
	for name, c := range map[string]struct {
		spec Spec
		code string
	}{
		"no such name":        {Spec{Argv: []string{"no-such-command"}}, fault.CommandNotFound},
		"no such file":        {Spec{Argv: []string{"/no/such/file"}}, fault.CommandNotFound},
		"no such interpreter": {Spec{Argv: []string{script("i", "#!/no/such\n", 0o755)}}, fault.CommandNotFound},
		"no program":          {Spec{Argv: []string{script("n", "text", 0o755)}}, fault.CommandNotFound},
		"not executable":      {Spec{Argv: []string{script("x", "#!/bin/sh\n", 0o644)}}, fault.PermissionDenied},
		"no such directory":   {Spec{Argv: []string{"true"}, Cwd: "/no/such"}, fault.CommandNotFound},
		"a file as directory": {Spec{Argv: []string{"true"}, Cwd: script("f", "", 0o644)}, fault.CommandNotFound},
		"no such user":        {Spec{Argv: []string{"true"}, User: "no-such-user"}, fault.UserNotFound},
		"no argv":             {Spec{}, fault.InvalidRequest},
		"NUL in argv":         {Spec{Argv: []string{"a\x00b"}}, fault.InvalidRequest},
		"bad env":             {Spec{Argv: []string{"true"}, Env: map[string]string{"A=B": ""}}, fault.InvalidRequest},
		"ring too large":      {Spec{Argv: []string{"true"}, RingBytes: 17 << 20}, fault.InvalidRequest},
		"terminal too large":  {Spec{Argv: []string{"true"}, Tty: &Size{1001, 1}}, fault.InvalidRequest},
		"arguments too long":  {Spec{Argv: []string{"true", strings.Repeat("x", 200<<10)}}, fault.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			if c.spec.Cwd == "" {
				c.spec.Cwd = "/"
			}
			_, _, err := table.Start(c.spec, true)
			wantCode(t, err, c.code)
		})
	}
	if infos := table.List(); len(infos) != 0 || table.running != 0 {
		t.Fatalf("commands that never started are kept: %s, %d running", show(infos), table.running)
	}
}

func TestLongCommandLinesAreCutInTheView(t *testing.T) {
	job := start(t, newTable(t), Spec{Argv: []string{"true", strings.Repeat("ä", 10_000), "more"}, Cwd: "/"})
	argv := job.Info().Argv
	if len(argv) != 2 || len(argv[1]) > shownArgvBytes || !strings.HasSuffix(argv[1], "ä…") {
		t.Fatalf("%d arguments, the last with %d bytes", len(argv), len(argv[len(argv)-1]))
	}
	wantExit(t, waitExit(t, job), 0)
}
