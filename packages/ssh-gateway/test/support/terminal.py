"""Runs a program in a terminal: types the lines given on standard input after their prompts have been seen, and resizes it on the way.

Each line of the script is JSON: {"see": "text"}, {"type": "text"} or {"size": [rows, cols]}. What was printed goes to standard output."""
import fcntl, json, os, pty, select, signal, struct, sys, termios

script = [json.loads(line) for line in sys.stdin]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""


def more(seconds):
    global seen
    if not select.select([fd], [], [], seconds)[0]:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    seen += data
    sys.stdout.buffer.write(data)
    return bool(data)


for step in script:
    if "see" in step:
        while step["see"].encode() not in seen:
            if not more(60):
                sys.exit("did not see " + step["see"])
        seen = seen.split(step["see"].encode(), 1)[1]
    elif "type" in step:
        os.write(fd, step["type"].encode())
    else:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *step["size"], 0, 0))
        os.kill(pid, signal.SIGWINCH)
while more(60):
    pass
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
