package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/files"
)

const bodyBytes = 256 << 10

// pathOf reads and resolves the path of a request.
func (a *API) pathOf(r *http.Request) (string, error) {
	return a.Files.Resolve(r.URL.Query().Get("path"))
}

func (a *API) readFile(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fault.Of(err, path)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fault.Of(err, path)
	}
	if !info.Mode().IsRegular() {
		return fault.New(fault.FileConflict, "%s is not a regular file.", path)
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Accept-Ranges", "bytes")
	header.Set("Last-Modified", info.ModTime().UTC().Format(http.TimeFormat))
	first, length, partial, err := parseRange(r.Header.Get("Range"), info.Size())
	if err != nil {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", info.Size()))
		return err
	}
	if info.Size() == 0 {
		return sendUnsized(w, file)
	}
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, info.Size()))
	}
	w.WriteHeader(status)
	return sendBody(w, io.NewSectionReader(file, first, length), length)
}

// sendUnsized sends a file that says it is empty: those of /proc and /sys say so, and are not.
func sendUnsized(w http.ResponseWriter, file *os.File) error {
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, file); err != nil {
		return errAfterHeaders
	}
	return nil
}

func sendBody(w io.Writer, body io.Reader, length int64) error {
	size := int64(bodyBytes)
	if length < size {
		size = length
	}
	copied, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{body}, make([]byte, size))
	if err != nil || copied < length {
		return errAfterHeaders // it became shorter meanwhile, or the client left
	}
	return nil
}

func (a *API) writeFile(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return refuseBody(w, r, err)
	}
	var mode *uint32
	if text := r.URL.Query().Get("mode"); text != "" {
		bits, err := strconv.ParseUint(text, 8, 32)
		if err != nil || bits > 0o7777 {
			return refuseBody(w, r, fault.New(fault.InvalidRequest, "mode must be octal, such as 644, not %q.", text))
		}
		number := uint32(bits)
		mode = &number
	}
	query := r.URL.Query()
	info, err := a.Files.Write(path, query.Get("user"), mode, query.Get("ifHash"), r.Body)
	if err != nil {
		return refuseBody(w, r, err)
	}
	writeJSON(w, http.StatusCreated, info)
	return nil
}

// refuseBody answers before the body was read. A client that is still sending must get to read the answer, so what comes is
// taken for a while before the connection is closed.
func refuseBody(w http.ResponseWriter, r *http.Request, err error) error {
	w.Header().Set("Connection", "close")
	writeError(w, err)
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxRefused)
	return nil
}

const maxRefused = 256 << 20

func (a *API) removeFile(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	if err := a.Files.Remove(path, r.URL.Query().Get("recursive") == "1"); err != nil {
		return err
	}
	return noContent(w)
}

func (a *API) statFile(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	details, err := detailsOf(r)
	if err != nil {
		return err
	}
	info, err := a.Files.Stat(path, r.URL.Query().Get("follow") != "0")
	if err != nil {
		return err
	}
	a.Files.Describe(&info, details)
	writeJSON(w, http.StatusOK, info)
	return nil
}

func (a *API) listFiles(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	depth, err := numberOf(r, "depth", 1, 1, files.MaxDepth)
	if err != nil {
		return err
	}
	details, err := detailsOf(r)
	if err != nil {
		return err
	}
	list, err := a.Files.List(path, int(depth))
	if err != nil {
		return err
	}
	for i := range list {
		a.Files.Describe(&list[i], details)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// detailsOf reads what a caller wants to know beside the usual.
func detailsOf(r *http.Request) (files.Details, error) {
	query := r.URL.Query()
	details := files.Details{Prefix: query.Get("attributes"), Links: query.Get("links") == "1"}
	if details.Prefix != "" {
		return details, files.CheckPrefix(details.Prefix)
	}
	return details, nil
}

func (a *API) setAttributes(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Path   string            `json:"path"`
		Prefix string            `json:"prefix"`
		Set    map[string]string `json:"set"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	path, err := a.Files.Resolve(body.Path)
	if err != nil {
		return err
	}
	if err := files.CheckPrefix(body.Prefix); err != nil {
		return err
	}
	if err := a.Files.SetAttributes(path, body.Prefix, body.Set); err != nil {
		return err
	}
	return noContent(w)
}

func (a *API) makeDirectory(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Path string  `json:"path"`
		Mode *uint32 `json:"mode"`
		User string  `json:"user"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	path, err := a.Files.Resolve(body.Path)
	if err != nil {
		return err
	}
	if body.Mode != nil {
		if err := checkMode(*body.Mode); err != nil {
			return err
		}
	}
	if err := a.Files.MakeDirectory(path, body.Mode, body.User); err != nil {
		return err
	}
	return noContent(w)
}

func (a *API) moveFile(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		From      string `json:"from"`
		To        string `json:"to"`
		Overwrite bool   `json:"overwrite"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	from, err := a.Files.Resolve(body.From)
	if err != nil {
		return err
	}
	to, err := a.Files.Resolve(body.To)
	if err != nil {
		return err
	}
	if err := a.Files.Move(from, to, body.Overwrite); err != nil {
		return err
	}
	return noContent(w)
}

func (a *API) changeMode(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Path      string  `json:"path"`
		Mode      *uint32 `json:"mode"`
		Recursive bool    `json:"recursive"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	path, err := a.Files.Resolve(body.Path)
	if err != nil {
		return err
	}
	if body.Mode == nil {
		return fault.New(fault.InvalidRequest, "mode is missing.")
	}
	if err := checkMode(*body.Mode); err != nil {
		return err
	}
	if err := a.Files.ChangeMode(path, *body.Mode, body.Recursive); err != nil {
		return err
	}
	return noContent(w)
}

func checkMode(mode uint32) error {
	if mode > 0o7777 {
		return fault.New(fault.InvalidRequest, "mode must be 0 to 4095 (octal 7777), not %d.", mode)
	}
	return nil
}

func (a *API) getTar(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	exclude := r.URL.Query()["exclude"]
	if err := files.CheckPack(path, exclude); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if err := a.Files.Pack(path, exclude, w); err != nil {
		return errAfterHeaders
	}
	return nil
}

func (a *API) putTar(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err == nil {
		err = a.Files.Unpack(path, r.URL.Query().Get("user"), r.Body)
	}
	if err != nil {
		return refuseBody(w, r, err)
	}
	return noContent(w)
}
