package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/frames"
	"gibil.dev/boxd/internal/jobs"
)

func TestHealthAndConfigure(t *testing.T) {
	b := newBox(t)
	if text := b.want(200, "", "GET", "health", ""); !strings.Contains(text, `"version":"test"`) {
		t.Fatal(text)
	}
	b.want(204, "", "POST", "configure", `{"env":{"GREETING":"hello"},"cwd":"/"}`)
	job := decode[jobs.Info](t, b.want(201, "", "POST", "jobs", `{"argv":["sh","-c","echo $GREETING $PWD"]}`))
	text := b.want(200, "", "GET", "jobs/"+job.ID+"/output?waitMs=20000", "")
	if output := decode[jobs.Output](t, text); len(output.Chunks) != 1 || string(output.Chunks[0].Base64) != "hello /\n" {
		t.Fatal(text)
	}
	b.want(200, "", "GET", "metrics", "")
	b.want(200, "", "GET", "ports", "")
}

func TestOnlyAMachineWritesItsDisk(t *testing.T) {
	b := newBox(t)
	b.want(404, fault.NotFound, "POST", "sync", "")
}

func TestShutdownIsPassedOn(t *testing.T) {
	b := newBox(t)
	b.want(202, "", "POST", "shutdown", "")
	b.want(202, "", "POST", "shutdown", `{"graceMs":250}`)
	if first, second := <-b.graces, <-b.graces; first != 5*time.Second || second != 250*time.Millisecond {
		t.Fatal(first, second)
	}
	b.want(400, fault.InvalidRequest, "POST", "shutdown", `{"graceMs":-1}`)
}

func TestWhatIsRefused(t *testing.T) {
	b := newBox(t)
	for _, c := range []struct {
		status             int
		code               string
		method, path, body string
	}{
		{404, fault.NotFound, "GET", "nothing", ""},
		{404, fault.NotFound, "DELETE", "health", ""},
		{404, fault.JobNotFound, "GET", "jobs/none", ""},
		{404, fault.JobNotFound, "POST", "jobs/none/signal", "{}"},
		{400, fault.InvalidRequest, "POST", "jobs", "{"},
		{400, fault.InvalidRequest, "POST", "jobs", `{"argv":["true"],"surprise":1}`},
		{400, fault.InvalidRequest, "POST", "jobs", `{"argv":["true"]} {}`},
		{400, fault.InvalidRequest, "POST", "jobs", `{"argv":"true"}`},
		{413, fault.PayloadTooLarge, "POST", "jobs", `{"label":"` + strings.Repeat("x", 1<<20) + `"}`},
		{422, fault.CommandNotFound, "POST", "jobs", `{"argv":["no-such-command"],"cwd":"/"}`},
		{422, fault.UserNotFound, "POST", "jobs", `{"argv":["true"],"user":"no-such-user"}`},
		{400, fault.InvalidPath, "GET", "files", ""},
		{400, fault.InvalidPath, "GET", "files/stat?path=%00", ""},
		{404, fault.FileNotFound, "GET", "files?path=/no/such", ""},
		{409, fault.FileConflict, "GET", "files?path=/", ""},
		{409, fault.FileConflict, "GET", "files?path=/dev/null", ""},
		{400, fault.InvalidRequest, "GET", "files/list?path=/&depth=0", ""},
		{400, fault.InvalidRequest, "PUT", "files?path=/tmp/x&mode=999", ""},
		{400, fault.InvalidRequest, "POST", "files/chmod", `{"path":"/tmp"}`},
		{400, fault.InvalidRequest, "POST", "files/chmod", `{"path":"/tmp","mode":4096}`},
		{404, fault.FileNotFound, "GET", "watch?path=/no/such", ""},
		{404, fault.FileNotFound, "GET", "tar?path=/no/such", ""},
		{400, fault.InvalidRequest, "GET", "dial?port=80", ""},
	} {
		b.want(c.status, c.code, c.method, c.path, c.body)
	}
}

func TestReadFileAndRanges(t *testing.T) {
	b := newBox(t)
	path := filepath.Join(b.dir, "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]struct {
		status int
		text   string
	}{
		"":              {200, "0123456789"},
		"bytes=2-4":     {206, "234"},
		"bytes=7-":      {206, "789"},
		"bytes=-3":      {206, "789"},
		"bytes=-30":     {206, "0123456789"},
		"bytes=0-99":    {206, "0123456789"},
		"bytes=5-2":     {200, "0123456789"},
		"bytes=0-1,3-4": {200, "0123456789"},
		"lines=1-2":     {200, "0123456789"},
	} {
		if status, text := b.call("GET", "files?path="+path, "", "Range: "+header); status != want.status || text != want.text {
			t.Errorf("%q: %d %q", header, status, text)
		}
	}
	b.want(416, fault.InvalidRequest, "GET", "files?path="+path, "", "Range: bytes=10-")
	b.want(416, fault.InvalidRequest, "GET", "files?path="+path, "", "Range: bytes=-0")
	// Files of /proc say that they are empty.
	if _, text := b.call("GET", "files?path=/proc/self/status", ""); !strings.Contains(text, "Pid:") {
		t.Fatalf("%q", text)
	}
}

func TestRangeAnswersSayWhatTheyAre(t *testing.T) {
	b := newBox(t)
	path := filepath.Join(b.dir, "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest("GET", "http://boxd/v1/files?path="+path, nil)
	request.Header.Set("Range", "bytes=2-4")
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("Content-Range"); got != "bytes 2-4/10" || response.ContentLength != 3 || response.Header.Get("Last-Modified") == "" {
		t.Fatalf("%v", response.Header)
	}
}

func TestFilesRoundTrip(t *testing.T) {
	b := newBox(t)
	path := filepath.Join(b.dir, "a/big")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	status, text := b.send("PUT", "files?path="+path+"&mode=600", struct{ io.Reader }{bytes.NewReader(content)})
	if status != 201 || !strings.Contains(text, `"size":4194304`) || !strings.Contains(text, `"mode":384`) {
		t.Fatal(status, text)
	}
	if _, text = b.call("GET", "files?path="+path, ""); text != string(content) {
		t.Fatalf("%d bytes came back", len(text))
	}
	b.want(204, "", "POST", "files/mkdir", fmt.Sprintf(`{"path":%q,"mode":448}`, b.dir+"/d"))
	b.want(204, "", "POST", "files/move", fmt.Sprintf(`{"from":%q,"to":%q}`, path, b.dir+"/d/moved"))
	b.want(204, "", "POST", "files/chmod", fmt.Sprintf(`{"path":%q,"mode":420}`, b.dir+"/d/moved"))
	b.want(409, fault.FileConflict, "DELETE", "files?path="+b.dir+"/d", "")
	list := b.want(200, "", "GET", "files/list?path="+b.dir+"&depth=5", "")
	if !strings.Contains(list, `"mode":420`) || strings.Count(list, `"path"`) != 3 {
		t.Fatal(list)
	}
	tar := b.want(200, "", "GET", "tar?path="+b.dir+"&exclude=a", "")
	b.want(204, "", "PUT", "tar?path="+b.dir+"/copy", tar)
	if copied, err := os.ReadFile(b.dir + "/copy/d/moved"); err != nil || !bytes.Equal(copied, content) {
		t.Fatal("the copy differs", err)
	}
	b.want(204, "", "DELETE", "files?recursive=1&path="+b.dir+"/d", "")
	b.want(404, fault.FileNotFound, "GET", "files/stat?path="+b.dir+"/d", "")
}

func TestUploadThatIsCutOffChangesNothing(t *testing.T) {
	b := newBox(t)
	path := filepath.Join(b.dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, length := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn, in := b.raw("PUT /v1/files?path=" + path + " HTTP/1.1\r\nHost: boxd\r\n" + length)
		_ = conn.CloseWrite()
		_, _ = io.ReadAll(in)
		if text, _ := os.ReadFile(path); string(text) != "old" {
			t.Fatalf("%q", text)
		}
		if entries, _ := os.ReadDir(b.dir); len(entries) != 1 {
			t.Fatal(entries)
		}
	}
}

func TestRefusalReachesAClientThatIsStillSending(t *testing.T) {
	b := newBox(t)
	status, text := b.send("PUT", "files?path="+b.dir, io.LimitReader(endless{}, 20<<20))
	if status != 409 || !strings.Contains(text, fault.FileConflict) {
		t.Fatal(status, text)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRunByUpgrade(t *testing.T) {
	b := newBox(t)
	// Frames right behind the request, before the answer.
	header := frames.Header(frames.Stdin, 6)
	end := frames.Header(frames.StdinEnd, 0)
	early := string(header[:]) + "hello\n" + string(end[:])
	_, in := b.raw(upgradeRequest("POST", "jobs", framesProtocol, `{"argv":["cat"],"cwd":"/","stdin":true,"attach":true}`) + early)
	b.switched(in)
	text, err := io.ReadAll(in)
	if err != nil || !bytes.Contains(text, []byte("\x10\x00\x00\x00\x06hello\n\x12")) || text[0] != frames.Started {
		t.Fatalf("%q %v", text, err)
	}
	_, in = b.raw(upgradeRequest("POST", "jobs", framesProtocol, `{"argv":["no-such-command"],"cwd":"/"}`))
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 422 {
		t.Fatal(response, err)
	}
}

func TestAttachByUpgrade(t *testing.T) {
	b := newBox(t)
	job := decode[jobs.Info](t, b.want(201, "", "POST", "jobs", `{"argv":["sh","-c","echo hello"],"cwd":"/"}`))
	b.want(200, "", "GET", "jobs/"+job.ID+"/output?waitMs=20000", "")
	_, in := b.raw(upgradeRequest("GET", "jobs/"+job.ID+"/attach?offset=2", framesProtocol, ""))
	b.switched(in)
	text, err := io.ReadAll(in)
	if err != nil || !bytes.Contains(text, []byte("\x10\x00\x00\x00\x04llo\n\x12")) {
		t.Fatalf("%q %v", text, err)
	}
	b.want(400, fault.InvalidRequest, "GET", "jobs/"+job.ID+"/attach", "")
	b.want(400, fault.InvalidRequest, "GET", "jobs/"+job.ID+"/attach?offset=-1", "", "Connection: upgrade", "Upgrade: "+framesProtocol)
}

func TestJobCalls(t *testing.T) {
	b := newBox(t)
	job := decode[jobs.Info](t, b.want(201, "", "POST", "jobs", `{"argv":["cat"],"cwd":"/","stdin":true,"label":"the cat"}`))
	if list := decode[[]jobs.Info](t, b.want(200, "", "GET", "jobs", "")); len(list) != 1 || list[0].Label != "the cat" || list[0].Exit != nil {
		t.Fatal(list)
	}
	b.want(409, fault.FileConflict, "DELETE", "jobs/"+job.ID, "")
	b.want(204, "", "POST", "jobs/"+job.ID+"/stdin", "one ")
	b.want(204, "", "POST", "jobs/"+job.ID+"/stdin?end=1", "two")
	var got string
	for offset := int64(0); ; {
		out := decode[jobs.Output](t, b.want(200, "", "GET", fmt.Sprintf("jobs/%s/output?offset=%d&waitMs=20000", job.ID, offset), ""))
		for _, chunk := range out.Chunks {
			got += string(chunk.Base64)
		}
		if offset = out.NextOffset; out.Exit != nil {
			break
		}
	}
	if got != "one two" {
		t.Fatalf("%q", got)
	}
	b.want(204, "", "POST", "jobs/"+job.ID+"/signal", `{"signal":"SIGTERM"}`)
	b.want(400, fault.InvalidRequest, "POST", "jobs/"+job.ID+"/resize", `{"cols":80,"rows":24}`)
	b.want(204, "", "DELETE", "jobs/"+job.ID, "")
	b.want(404, fault.JobNotFound, "GET", "jobs/"+job.ID, "")
}

func TestWatchStreams(t *testing.T) {
	b := newBox(t)
	ctx, leave := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "GET", "http://boxd/v1/watch?recursive=1&path="+b.dir, nil)
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	line := func() string {
		var text []byte
		for one := make([]byte, 1); len(text) == 0 || text[len(text)-1] != '\n'; text = append(text, one...) {
			if _, err := io.ReadFull(response.Body, one); err != nil {
				t.Fatal(err)
			}
		}
		return string(text)
	}
	if text := line(); text != `{"type":"ready"}`+"\n" {
		t.Fatal(text)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "<file>"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if text := line(); text != fmt.Sprintf(`{"type":"create","path":"%s/<file>"}`+"\n", b.dir) {
		t.Fatal(text)
	}
	leave()
}

func TestDial(t *testing.T) {
	b := newBox(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // answers with all it got, once the other side has ended
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(conn)
			_, _ = conn.Write(bytes.ToUpper(text))
			conn.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	conn, in := b.raw(upgradeRequest("GET", fmt.Sprintf("dial?port=%d", port), tcpProtocol, "") + "early ")
	b.switched(in)
	_, _ = io.WriteString(conn, "late")
	_ = conn.CloseWrite()
	if text, err := io.ReadAll(in); err != nil || string(text) != "EARLY LATE" {
		t.Fatalf("%q %v", text, err)
	}
	listener.Close()
	_, in = b.raw(upgradeRequest("GET", fmt.Sprintf("dial?port=%d", port), tcpProtocol, ""))
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 502 {
		t.Fatal(response, err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `"port_closed"`) {
		t.Fatalf("%s %v", body, err)
	}
}

func TestDialTriesBothLoopbacks(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Write([]byte("six"))
			conn.Close()
		}
	}()
	b := newBox(t)
	conn, in := b.raw(upgradeRequest("GET", fmt.Sprintf("dial?port=%d", listener.Addr().(*net.TCPAddr).Port), tcpProtocol, ""))
	b.switched(in)
	_ = conn.CloseWrite()
	if text, err := io.ReadAll(in); err != nil || string(text) != "six" {
		t.Fatalf("%q %v", text, err)
	}
}
