package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// uploaded is what an upload answers.
type uploaded struct {
	FileID string `json:"file_id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url"`
	Width  int64  `json:"width"`
	Height int64  `json:"height"`
}

// uploading is the call; "" is bytes of no particular type.
func (a *actor) uploading(name, contentType string, content []byte) client.Answer {
	a.t.Helper()
	contentType = cmp.Or(contentType, "application/octet-stream")
	answer, err := a.Client().Do(within(a.t, patience), client.Request{
		Method: http.MethodPost, Path: "/v1/files?name=" + url.QueryEscape(name), Token: a.AccessToken, Raw: content, ContentType: contentType,
	})
	if err != nil {
		a.t.Fatalf("upload: %v", err)
	}
	return answer
}

// upload must be accepted.
func (a *actor) upload(name, contentType string, content []byte) uploaded {
	a.t.Helper()
	answer := a.uploading(name, contentType, content)
	var file uploaded
	if answer.Status != http.StatusCreated {
		a.t.Fatalf("upload of %q: %d %s", name, answer.Status, answer.Body)
	}
	if err := json.Unmarshal(answer.Body, &file); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// notUploaded wants an upload to be refused.
func (a *actor) notUploaded(name, contentType string, content []byte, status int, code string) {
	a.t.Helper()
	answer := a.uploading(name, contentType, content)
	problem, err := answer.Problem()
	if err != nil || problem.Status != status || problem.Code != code {
		a.t.Errorf("upload of %q as %s: %d %.200s, want %d %s", name, contentType, answer.Status, answer.Body, status, code)
	}
}

// read asks for a file; header pairs are name, value.
func (a *actor) read(id string, header ...string) client.Answer {
	a.t.Helper()
	return a.asks(http.MethodGet, "/v1/files/"+id, header...)
}

func (a *actor) asks(method, path string, header ...string) client.Answer {
	a.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	answer, err := a.Client().Do(within(a.t, patience), client.Request{Method: method, Path: path, Token: a.AccessToken, Header: h})
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

// sees wants a file's bytes.
func (a *actor) sees(id string, content []byte) {
	a.t.Helper()
	if answer := a.read(id); answer.Status != http.StatusOK || !bytes.Equal(answer.Body, content) {
		a.t.Errorf("read of %s: %d, %d bytes, want 200 and the %d of the file", id, answer.Status, len(answer.Body), len(content))
	}
}

// unsees wants a file not to exist.
func (a *actor) unsees(id string) {
	a.t.Helper()
	problem, err := a.read(id).Problem()
	if err != nil || problem.Status != http.StatusNotFound || problem.Code != "not_found" {
		a.t.Errorf("read of %s: %v %v, want 404", id, problem, err)
	}
}

func fileDraft(in client.ConversationID, kind string, file uploaded) client.Draft {
	return client.Draft{ClientMsgID: uuid.NewString(), ConversationID: in, Type: kind, Body: map[string]any{"file_id": file.FileID, "name": file.Name, "size": file.Size, "mime_type": file.Type}}
}

// sendFile sends a message that names a file.
func (a *actor) sendFile(in client.ConversationID, file uploaded) client.Sent {
	a.t.Helper()
	return a.sendDraft(fileDraft(in, "file", file))
}

// notSent is why a send is refused.
func (a *actor) notSent(d client.Draft) error {
	a.t.Helper()
	_, err := a.Send(within(a.t, patience), d)
	return err
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	b[0] = 0xee // no text, and nothing that anybody knows
	return b
}

func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// filesOfMessage: who sees a message that names a file sees the file, and nobody else but who uploaded it.
func filesOfMessage(t *testing.T, s *system) {
	alice, bob, carol, dave := s.user(t), s.user(t), s.user(t), s.user(t)
	content := picture(t, 31, 17)
	sum := sha256.Sum256(content)
	file := alice.upload("a picture.png", "image/png", content)
	want := uploaded{FileID: file.FileID, Name: "a picture.png", Type: "image/png", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), URL: "/v1/files/" + file.FileID, Width: 31, Height: 17}
	if file != want {
		t.Fatalf("uploaded %+v, want %+v", file, want)
	}
	alice.sees(file.FileID, content)
	bob.unsees(file.FileID)
	group := alice.group(bob, dave)
	bob.unsees(file.FileID)
	var body map[string]any // the answer as it is
	if err := json.Unmarshal(alice.uploading("again.png", "image/png", content).Body, &body); err != nil {
		t.Fatal(err)
	}
	again := fmt.Sprint(body["file_id"])
	draft := client.Draft{ClientMsgID: uuid.NewString(), ConversationID: group, Type: "image", Body: body}
	first := alice.sendDraft(draft)
	alice.repeat(draft, first)
	alice.sendFile(group, file)
	for _, id := range []string{file.FileID, again} {
		bob.sees(id, content)
		dave.sees(id, content)
		carol.unsees(id)
	}
	if err := alice.RemoveMember(within(t, patience), group, dave.id()); err != nil {
		t.Fatal(err)
	}
	dave.unsees(file.FileID) // left
	if err := alice.AddMembers(within(t, patience), group, carol.id()); err != nil {
		t.Fatal(err)
	}
	carol.unsees(file.FileID) // came later, and the past is closed
	alice.sendFile(group, file)
	carol.sees(file.FileID, content)
	carol.unsees(again)

	answer := bob.read(file.FileID)
	for name, value := range map[string]string{
		"Content-Type": "image/png", "Content-Disposition": `inline; filename="a picture.png"`, "X-Content-Type-Options": "nosniff", "ETag": `"` + file.SHA256 + `"`, "Cache-Control": "private, no-cache",
		"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'", "Accept-Ranges": "bytes", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := answer.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: file.URL}); err != nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %v", answer.Status, err)
	}
}

// fileParts: ranges, conditions and HEAD.
func fileParts(t *testing.T, s *system) {
	alice := s.user(t)
	content := noise(200_000)
	file := alice.upload("noise", "", content)
	var untyped uploaded
	_, body := s.rawUpload(t, alice, 5, noise(5)).answer()
	if err := json.Unmarshal(body, &untyped); err != nil || untyped.Type != "application/octet-stream" || untyped.Size != 5 {
		t.Errorf("without a type it is %+v, %v", untyped, err)
	}
	tag := `"` + file.SHA256 + `"`
	for _, c := range []struct {
		name   string
		header []string
		status int
		body   []byte
		part   string
	}{
		{"first bytes", []string{"Range", "bytes=0-9"}, 206, content[:10], "bytes 0-9/200000"},
		{"from the middle", []string{"Range", "bytes=100000-"}, 206, content[100000:], "bytes 100000-199999/200000"},
		{"the end", []string{"Range", "bytes=-5"}, 206, content[199995:], "bytes 199995-199999/200000"},
		{"beyond the end", []string{"Range", "bytes=199999-300000"}, 206, content[199999:], "bytes 199999-199999/200000"},
		{"several", []string{"Range", "bytes=0-1,5-6"}, 200, content, ""},
		{"no range", []string{"Range", "lines=1-2"}, 416, nil, ""},
		{"after the end", []string{"Range", "bytes=200000-"}, 416, nil, "bytes */200000"},
		{"what I have", []string{"If-None-Match", tag}, 304, nil, ""},
		{"what I have, of another", []string{"If-None-Match", `"x"`}, 200, content, ""},
		{"a part of what I have", []string{"Range", "bytes=0-9", "If-Range", tag}, 206, content[:10], "bytes 0-9/200000"},
		{"a part of another", []string{"Range", "bytes=0-9", "If-Range", `"x"`}, 200, content, ""},
	} {
		answer := alice.read(file.FileID, c.header...)
		if answer.Status != c.status || c.body != nil && !bytes.Equal(answer.Body, c.body) || answer.Header.Get("Content-Range") != c.part {
			t.Errorf("%s: %d, %d bytes, %q", c.name, answer.Status, len(answer.Body), answer.Header.Get("Content-Range"))
		}
		if c.status == http.StatusRequestedRangeNotSatisfiable {
			if problem, err := answer.Problem(); err != nil || problem.Code != "range_not_satisfiable" {
				t.Errorf("%s: %v %v", c.name, problem, err)
			}
		}
	}
	head := alice.asks(http.MethodHead, file.URL)
	if head.Status != http.StatusOK || head.Header.Get("Content-Length") != "200000" || len(head.Body) != 0 || head.Header.Get("ETag") != tag {
		t.Errorf("HEAD: %d %v", head.Status, head.Header)
	}
}

// refusedFiles: what is not what it says, or is not taken, leaves nothing.
func refusedFiles(t *testing.T, s *system) {
	alice := s.user(t)
	html := []byte("<!DOCTYPE html><script>alert(1)</script>")
	svg := []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`)
	bomb := picture(t, 1, 1)
	copy(bomb[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // says 65,536 × 65,536
	for _, c := range []struct {
		name, kind string
		content    []byte
		status     int
		code       string
	}{
		{"page as image", "image/png", html, 415, "file_refused"},
		{"page as text", "text/plain", html, 415, "file_refused"},
		{"page", "text/html", html, 415, "file_refused"},
		{"drawing", "image/svg+xml", svg, 415, "file_refused"},
		{"drawing as image", "image/gif", svg, 415, "file_refused"},
		{"picture as another", "image/jpeg", picture(t, 2, 2), 415, "file_refused"},
		{"program as video", "video/mp4", []byte("MZ\x90\x00#!/bin/sh <html>"), 201, ""}, // looks like nothing: a video that nobody can play
		{"page as video", "video/mp4", html, 415, "file_refused"},
		{"half a picture", "image/png", picture(t, 2, 2)[:20], 415, "file_refused"},
		{"a picture of 4 gigapixels", "image/png", bomb, 415, "file_refused"},
		{"script", "text/javascript", []byte("alert(1)"), 415, "file_refused"},
		{"no type", "nothing", []byte("x"), 415, "file_refused"},
		{"all types", "*/*", []byte("x"), 415, "file_refused"},
		{"nothing in it", "text/plain", []byte{}, 422, "validation_failed"},
		{strings.Repeat("x", 201), "text/plain", []byte("x"), 422, "validation_failed"},
		{"picture", "IMAGE/PNG; a=b", picture(t, 2, 2), 201, ""},
	} {
		if c.status == http.StatusCreated {
			alice.upload(c.name, c.kind, c.content)
			continue
		}
		alice.notUploaded(c.name, c.kind, c.content, c.status, c.code)
	}
	answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodPost, Path: "/v1/files?name=x", Token: alice.AccessToken, Raw: []byte("x"), ContentType: "text/plain", Header: http.Header{"Content-Encoding": {"gzip"}}})
	if err != nil || answer.Status != http.StatusUnsupportedMediaType {
		t.Errorf("compressed: %d %v", answer.Status, err)
	}
	// Unknown bytes claim nothing, and are nothing, whatever they are.
	for _, content := range [][]byte{html, svg} {
		file := alice.upload("page.html", "application/octet-stream", content)
		got := alice.read(file.FileID)
		if got.Header.Get("Content-Type") != "application/octet-stream" || got.Header.Get("Content-Disposition") != `attachment; filename=page.html` || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("a page is answered as %v", got.Header)
		}
	}
	pdf := alice.upload("a.pdf", "application/pdf", []byte("%PDF-1.7 …"))
	if got := alice.read(pdf.FileID); pdf.Type != "application/pdf" || got.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a PDF is answered as %v", got.Header)
	}
}

// fileNames: a name is for people, and goes nowhere else.
func fileNames(t *testing.T, s *system) {
	alice := s.user(t)
	for name, want := range map[string]string{
		"../../../etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", "/": "file", "..": "file", "": "file", " . ": "file", "a/../..": "file",
		"日本語.txt": "日本語.txt", "e\u202Egpj.exe": "egpj.exe", "a\r\nSet-Cookie: x=1": "aSet-Cookie: x=1", "nul\x00.txt": "nul.txt", `quo"te;.txt`: `quo"te;.txt`, "👩‍👩‍👧.png": "👩‍👩‍👧.png",
	} {
		file := alice.upload(name, "text/plain", []byte("x"))
		if file.Name != want {
			t.Errorf("%q became %q, want %q", name, file.Name, want)
		}
		answer := alice.read(file.FileID)
		if answer.Status != http.StatusOK || answer.Header.Get("Set-Cookie") != "" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment; filename") {
			t.Errorf("%q is answered with %d %v", name, answer.Status, answer.Header)
		}
	}
	for _, id := range []string{"..", "%2e%2e%2f1", "0", "-1", "x", "9223372036854775808", "1/../2", "%00"} {
		if answer := alice.read(id); answer.Status != http.StatusNotFound && answer.Status != http.StatusUnprocessableEntity {
			t.Errorf("id %q: %d", id, answer.Status)
		}
	}
	if s.backend.name == embedded.name {
		if err := filepath.WalkDir(filepath.Join(s.server.Dir(), "files"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Trim(strings.TrimSuffix(d.Name(), ".part"), "0123456789") != "" {
				t.Errorf("a name got into a path: %s", path)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// forwardedFiles: who sees a file may send it on, and then it does not hang on the first message.
func forwardedFiles(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	content := noise(1000)
	file := alice.upload("x", "", content)
	group := alice.group(bob)
	draft := client.Draft{ClientMsgID: uuid.NewString(), ToUserID: carol.id(), Type: "file", Body: map[string]any{"file_id": file.FileID}}
	refused(t, bob.notSent(draft), "not_found", http.StatusNotFound)
	carol.unsees(file.FileID)
	first := alice.sendFile(group, file)
	sent := bob.sendDraft(draft)
	carol.sees(file.FileID, content)
	if _, err := alice.Recall(within(t, patience), first.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	carol.sees(file.FileID, content)
	bob.sees(file.FileID, content)
	bob.repeat(draft, sent)
}

// recalledFile: with its last message a file goes, its bytes too.
func recalledFile(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	content := noise(1000)
	file := alice.upload("x", "", content)
	draft := client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "file", Body: map[string]any{"file_id": file.FileID}}
	sent := alice.sendDraft(draft)
	bob.sees(file.FileID, content)
	if _, err := alice.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	bob.unsees(file.FileID)
	alice.waitRemoved(file.FileID)
	if blob := blobs(t, s, file.FileID); len(blob) != 0 {
		t.Errorf("its bytes are still at %v", blob)
	}
	refused(t, alice.notSent(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "file", Body: draft.Body}), "not_found", http.StatusNotFound)
	again, err := alice.Send(within(t, patience), draft) // its key is kept for ever
	if err != nil || !again.Duplicate || again.Message.MessageID != sent.Message.MessageID {
		t.Errorf("the same send again: %+v %v", again, err)
	}
}

// waitRemoved waits for the job, which runs every 10 s.
func (a *actor) waitRemoved(id string) {
	a.t.Helper()
	ctx := within(a.t, 2*patience)
	for a.read(id).Status != http.StatusNotFound {
		select {
		case <-ctx.Done():
			a.t.Fatalf("%s is still there", id)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// blobs are the paths in the data folder that have an id for a name, or begin with it.
func blobs(t *testing.T, s *system, id string) (paths []string) {
	t.Helper()
	if err := filepath.WalkDir(filepath.Join(s.server.Dir(), "files"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), id) {
			paths = append(paths, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return paths
}

// badFileMessages: a message says of a file what it is, or nothing.
func badFileMessages(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	file := alice.upload("x.png", "image/png", picture(t, 3, 4))
	for name, c := range map[string]struct {
		kind string
		body map[string]any
		code string
	}{
		"a number":       {"image", map[string]any{"file_id": 1}, "validation_failed"},
		"no id":          {"image", map[string]any{"file_id": "x"}, "validation_failed"},
		"null":           {"image", map[string]any{"file_id": nil, "url": "https://example.com/"}, "validation_failed"},
		"not there":      {"image", map[string]any{"file_id": absent}, "not_found"},
		"another size":   {"image", map[string]any{"file_id": file.FileID, "size": 1}, "validation_failed"},
		"no size":        {"image", map[string]any{"file_id": file.FileID, "size": "large"}, "validation_failed"},
		"another type":   {"image", map[string]any{"file_id": file.FileID, "mime_type": "text/html"}, "validation_failed"},
		"another type 2": {"image", map[string]any{"file_id": file.FileID, "type": "text/html"}, "validation_failed"},
		"a video":        {"video", map[string]any{"file_id": file.FileID}, "validation_failed"},
		"a bad url":      {"image", map[string]any{"file_id": file.FileID, "url": "javascript:alert(1)"}, "validation_failed"},
		"neither":        {"image", map[string]any{"name": "x"}, "validation_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, alice.notSent(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: c.kind, Body: c.body}), c.code, http.StatusUnprocessableEntity, http.StatusNotFound)
		})
	}
	alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "image", Body: map[string]any{"file_id": file.FileID, "width": 4, "height": 3}}) // turned by its EXIF
	alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "file", Body: map[string]any{"file_id": file.FileID}})
	alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "image", Body: map[string]any{"url": "https://example.com/a.png"}})
}

// fileBounds: size, quota and types are settings.
func fileBounds(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_FILE_MAX_BYTES=100000", "ACKBOX_FILE_QUOTA_BYTES=250000", "ACKBOX_FILE_TYPES=text/plain,application/octet-stream")
	alice, bob := s.user(t), s.user(t)
	alice.notUploaded("large", "", noise(100_001), http.StatusRequestEntityTooLarge, "file_too_large")
	alice.notUploaded("picture", "image/png", picture(t, 1, 1), http.StatusUnsupportedMediaType, "file_refused")
	first := alice.upload("first", "", noise(100_000))
	alice.upload("second", "", noise(100_000))
	alice.notUploaded("third", "", noise(50_000), http.StatusForbidden, "quota_exceeded")
	bob.upload("his own", "", noise(50_000))
	sent := alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "file", Body: map[string]any{"file_id": first.FileID}})
	if _, err := alice.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	alice.waitRemoved(first.FileID)
	ctx := within(t, patience) // out of sight is a moment before the row is gone
	for alice.uploading("third", "", noise(50_000)).Status != http.StatusCreated {
		select {
		case <-ctx.Done():
			t.Fatal("the quota stays used up")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// raw is an upload whose body is sent by hand.
type raw struct {
	net.Conn
	t *testing.T
}

func (s *system) rawUpload(t *testing.T, who *actor, size int, first []byte) *raw {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(within(t, patience), "tcp", strings.TrimPrefix(s.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // may be closed already
	r := &raw{conn, t}
	r.write([]byte(fmt.Sprintf("POST /v1/files?name=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", who.AccessToken, size)))
	r.write(first)
	return r
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) answer() (status int, body []byte) {
	r.t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		r.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, body
}

// untilBlobs waits until so many files have bytes, as a whole or in part.
func untilBlobs(t *testing.T, s *system, n int) {
	t.Helper()
	ctx := within(t, patience)
	for len(blobs(t, s, "")) != n {
		select {
		case <-ctx.Done():
			t.Fatalf("bytes of files: %v, want %d", blobs(t, s, ""), n)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// killedUpload: what a dead client leaves is tidied up at once; what a dead server leaves is nobody's, and the same
// upload works again.
func killedUpload(t *testing.T, b backend) {
	s := b.start(t)
	alice := s.user(t)
	client := s.rawUpload(t, alice, 100_000, noise(50_000))
	untilBlobs(t, s, 1)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	untilBlobs(t, s, 0)

	s.rawUpload(t, alice, 100_000, noise(50_000))
	untilBlobs(t, s, 1)
	s.server.Kill()
	left := blobs(t, s, "")
	s.server.Restart()
	if len(left) != 1 || !strings.HasSuffix(left[0], ".part") {
		t.Fatalf("left of the upload: %v, want a part", left)
	}
	alice.unsees(strings.TrimSuffix(filepath.Base(left[0]), ".part"))
	content := noise(100_000)
	alice.sees(alice.upload("x", "", content).FileID, content)
}

// slowUpload: an upload may take its time, as long as something comes; four may be under way, and not five.
func slowUpload(t *testing.T, b backend) {
	s := b.start(t)
	alice := s.user(t)
	content := noise(2000)
	var all []*raw
	for range 4 {
		all = append(all, s.rawUpload(t, alice, len(content), content[:1000]))
	}
	untilBlobs(t, s, 4) // all are under way
	fifth := alice.uploading("fifth", "", noise(5))
	if problem, err := fifth.Problem(); err != nil || problem.Status != http.StatusTooManyRequests || problem.Limit != "uploads" {
		t.Errorf("a fifth upload: %d %s", fifth.Status, fifth.Body)
	}
	all[0].write(content[1000:])
	if status, body := all[0].answer(); status != http.StatusCreated {
		t.Errorf("a slow upload: %d %s", status, body)
	}
	if status, body := all[1].answer(); status != http.StatusBadRequest { // after 15 s of nothing
		t.Errorf("an upload of which nothing comes: %d %s", status, body)
	}
	alice.upload("sixth", "", noise(5))
}

// filesInS3: files are objects of a bucket, whoever serves; without the store there are no files, and all else goes on.
func filesInS3(t *testing.T, b backend) {
	store := testenv.StartS3(t)
	s := b.start(t, "ACKBOX_S3_ENDPOINT="+store.URL(), "ACKBOX_S3_BUCKET="+testenv.S3Bucket, "ACKBOX_S3_REGION="+testenv.S3Region, "ACKBOX_S3_ACCESS_KEY="+testenv.S3AccessKey, "ACKBOX_S3_SECRET_KEY="+testenv.S3SecretKey)
	alice, bob := s.user(t), s.user(t)
	content := noise(3 << 20)
	file := alice.upload("x", "", content)
	if got := store.Object("files/" + file.FileID); !bytes.Equal(got, content) {
		t.Fatalf("the store has %v, and of the file %d bytes", store.Keys(), len(got))
	}
	draft := client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "file", Body: map[string]any{"file_id": file.FileID}}
	sent := alice.sendDraft(draft)
	bob.sees(file.FileID, content)
	if answer := bob.read(file.FileID, "Range", "bytes=1000000-1000009"); answer.Status != http.StatusPartialContent || !bytes.Equal(answer.Body, content[1000000:1000010]) {
		t.Errorf("a part: %d, %d bytes", answer.Status, len(answer.Body))
	}
	store.CutReads(100_000)
	if answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: file.URL, Token: bob.AccessToken}); err == nil {
		t.Errorf("a file that breaks off in the store came as a whole: %d, %d bytes", answer.Status, len(answer.Body))
	}
	store.CutReads(0)

	without := func(name string) {
		t.Helper()
		if problem, err := bob.read(file.FileID).Problem(); err != nil || problem.Status != http.StatusServiceUnavailable || problem.Code != "unavailable" {
			t.Errorf("%s, read: %v %v", name, problem, err)
		}
		alice.notUploaded("y", "", content[:1000], http.StatusServiceUnavailable, "unavailable")
		alice.send(bob, "goes on")
	}
	store.Stop()
	without("stopped")
	store.Start()
	store.Fail(true)
	without("failing")
	store.Fail(false)
	bob.sees(file.FileID, content)
	if keys := store.Keys(); len(keys) != 1 {
		t.Errorf("the store has %v", keys)
	}
	if _, err := alice.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	alice.waitRemoved(file.FileID)
	ctx := within(t, patience) // the row is out of sight before the object goes
	for len(store.Keys()) > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("the store has %v", store.Keys())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
