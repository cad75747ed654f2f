package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"ackbox/model"
)

// memory keeps contents, and does what a store does that is not well.
type memory struct {
	mu      sync.Mutex
	content map[string][]byte
	down    error
	stored  func() // after a Put, before it is told
}

func (m *memory) Put(_ context.Context, key string, content io.Reader, size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := io.ReadAll(content)
	m.content[key] = b // also a part of it
	if err != nil {
		return err
	}
	if m.down != nil {
		return m.down
	}
	if int64(len(b)) != size {
		return io.ErrUnexpectedEOF
	}
	if m.stored != nil {
		m.stored()
	}
	return nil
}

type closing struct{ io.ReadSeeker }

func (closing) Close() error { return nil }

func (m *memory) Open(_ context.Context, key string, _ int64) (io.ReadSeekCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, there := m.content[key]
	if m.down != nil || !there {
		return nil, errors.Join(m.down, fs.ErrNotExist)
	}
	return closing{bytes.NewReader(b)}, nil
}

func (m *memory) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	delete(m.content, key)
	return nil
}

func (m *memory) has() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.content)
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

type countingIDs struct{ n atomic.Int64 }

func (c *countingIDs) Next() (int64, error) { return 1000 + c.n.Add(1), nil }

func newFiles(store *model.Store) (*Files, *memory, *handClock) {
	blobs, clock := &memory{content: map[string][]byte{}}, newHandClock()
	return NewFiles(FileOptions{
		Store: store, IDs: &countingIDs{}, Blobs: blobs, MaxBytes: 1 << 20, Types: []string{"image/png", "image/jpeg", "image/gif", unknownType}, Clock: clock.now, Log: quiet,
	}), blobs, clock
}

func some(content []byte) Upload {
	return Upload{Owner: 7, Name: "x", Size: int64(len(content)), Content: bytes.NewReader(content)}
}

// TestUploads: what was uploaded is what is read, however its bytes come.
func TestUploads(t *testing.T) {
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		files, blobs, _ := newFiles(store)
		content := bytes.Repeat([]byte{0xff, 0xee, 0, 1}, 20_000)
		for _, size := range []int{1, 511, 512, 513, 80_000} {
			for name, reader := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader, "by halves": iotest.HalfReader, "its end with its last byte": iotest.DataErrReader,
			} {
				u := some(content[:size])
				u.Content = reader(u.Content)
				file, err := files.Upload(t.Context(), u)
				must(t, err)
				_, r, err := files.Open(t.Context(), 7, file.ID)
				must(t, err)
				got, err := io.ReadAll(r)
				must(t, err)
				if !bytes.Equal(got, content[:size]) {
					t.Errorf("%d bytes, %s: %d came back, or others", size, name, len(got))
				}
				if _, _, err := files.Open(t.Context(), 8, file.ID); model.CodeOf(err) != model.CodeNotFound {
					t.Errorf("of another: %v, want CodeNotFound", err)
				}
			}
		}
		if n := blobs.has(); n != 20 {
			t.Errorf("%d contents, want 20", n)
		}
	})
}

// TestFailedUploads: whatever fails leaves neither row nor content, at once or, when the store is away, after its return.
func TestFailedUploads(t *testing.T) {
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		files, blobs, clock := newFiles(store)
		ctx := t.Context()
		rows := func() int {
			t.Helper()
			list, err := store.DueFiles(ctx, model.MillisOf(clock.now().Add(999*time.Hour)), 100)
			must(t, err)
			return len(list)
		}
		nothing := func(what string, err error, code model.Code) {
			t.Helper()
			if model.CodeOf(err) != code {
				t.Errorf("%s: %v, want %s", what, err, code)
			}
			if rows() != 0 || blobs.has() != 0 {
				t.Errorf("%s leaves %d rows and %d contents", what, rows(), blobs.has())
			}
		}
		noise := bytes.Repeat([]byte{0xff}, 2000)
		for _, after := range []int{0, 100, 600, 1999} {
			u := some(noise)
			u.Content = io.MultiReader(bytes.NewReader(noise[:after]), iotest.ErrReader(errors.New("the client is gone")))
			_, err := files.Upload(ctx, u)
			nothing(fmt.Sprintf("broken off after %d", after), err, model.CodeInvalidJSON)
			u.Content = bytes.NewReader(noise[:after])
			if after >= 512 { // before it there is nothing to store
				_, err = files.Upload(ctx, u)
				nothing(fmt.Sprintf("ended after %d", after), err, model.CodeUnavailable)
			}
		}
		u := some(noise)
		u.ContentType = "image/png"
		_, err := files.Upload(ctx, u)
		nothing("no picture", err, model.CodeFileRefused)

		// The client is gone when all was stored: the row cannot be finished in its context.
		gone, cancel := context.WithCancel(ctx)
		blobs.stored = cancel
		_, err = files.Upload(gone, some(noise))
		if err == nil {
			t.Error("answered an upload whose row was not finished")
		}
		nothing("a row that was not finished", model.NotFound("x"), model.CodeNotFound)
		blobs.stored = nil

		// The store is away: the row stays for the job, and is no file.
		blobs.fail(errors.New("away"))
		_, err = files.Upload(ctx, some(noise))
		if model.CodeOf(err) != model.CodeUnavailable || rows() != 1 {
			t.Errorf("%v and %d rows, want CodeUnavailable and the row", err, rows())
		}
		for range 2 {
			clock.step(fileOrphan)
			if files.RemoveDue(ctx) == nil || rows() != 1 {
				t.Errorf("%d rows after a removal that failed, want the row", rows())
			}
		}
		blobs.fail(nil)
		must(t, files.RemoveDue(ctx)) // has been tried a moment ago
		if rows() != 1 {
			t.Error("tried again at once")
		}
		clock.step(time.Hour)
		must(t, files.RemoveDue(ctx))
		nothing("a store that was away", model.NotFound("x"), model.CodeNotFound)
	})
}

// TestOrphans: files that nothing has named for a day go, however many; the others stay.
func TestOrphans(t *testing.T) {
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		files, blobs, clock := newFiles(store)
		ctx := t.Context()
		kept, err := files.Upload(ctx, some([]byte{0xff}))
		must(t, err)
		must(t, store.Tx(ctx, func(tx *model.Store) error {
			m := &model.Message{ConversationID: 1, ConversationSeq: 1, Type: model.TypeFile, Body: model.JSON(`{"file_id":"` + kept.ID.String() + `"}`)}
			if without, err := tx.LockFiles(ctx, []*model.Message{m}); err != nil || len(without) > 0 {
				return fmt.Errorf("without its file: %d %w", len(without), err)
			}
			return tx.InsertMessages(ctx, []*model.Message{m}, nil)
		}))
		const many = fileRemovals + 3
		for range many {
			_, err := files.Upload(ctx, some([]byte{0xff}))
			must(t, err)
		}
		clock.step(fileOrphan - time.Millisecond)
		must(t, files.RemoveDue(ctx))
		if n := blobs.has(); n != many+1 {
			t.Errorf("%d contents within the day, want %d", n, many+1)
		}
		clock.step(time.Millisecond)
		must(t, files.RemoveDue(ctx))
		if n := blobs.has(); n != 1 {
			t.Errorf("%d contents after it, want the one that is named", n)
		}
		_, _, err = files.Open(ctx, 7, kept.ID)
		must(t, err)
	})
}

// TestDimensions: of each kind of image, and of none that says too much.
func TestDimensions(t *testing.T) {
	picture := image.NewPaletted(image.Rect(0, 0, 300, 200), palette.Plan9)
	encode := func(to func(io.Writer) error) []byte {
		var b bytes.Buffer
		must(t, to(&b))
		return b.Bytes()
	}
	webp := append([]byte("RIFF\x1e\x00\x00\x00WEBPVP8L\x11\x00\x00\x00\x2f"), 0x2b, 0xc1, 0x31, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // 300 × 200
	for kind, content := range map[string][]byte{
		"image/png":  encode(func(w io.Writer) error { return png.Encode(w, picture) }),
		"image/jpeg": encode(func(w io.Writer) error { return jpeg.Encode(w, picture, nil) }),
		"image/gif":  encode(func(w io.Writer) error { return gif.Encode(w, picture, nil) }),
		"image/webp": webp,
	} {
		if err := checkLook(kind, content); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if w, h, err := dimensions(kind, content, true); w != 300 || h != 200 || err != nil {
			t.Errorf("%s: %d × %d, %v", kind, w, h, err)
		}
		if w, h, err := dimensions(kind, content[:12], false); w != 0 || h != 0 || err != nil {
			t.Errorf("%s, cut off: %d × %d, %v", kind, w, h, err)
		}
		if _, _, err := dimensions(kind, content[:12], true); model.CodeOf(err) != model.CodeFileRefused {
			t.Errorf("%s, half: %v, want CodeFileRefused", kind, err)
		}
	}
	if w, h, err := dimensions("video/mp4", []byte("anything"), true); w != 0 || h != 0 || err != nil {
		t.Errorf("no image: %d × %d, %v", w, h, err)
	}
	large := encode(func(w io.Writer) error { return png.Encode(w, picture) })
	copy(large[16:24], []byte{0, 0, 0x80, 0, 0, 0, 0x80, 0})
	if _, _, err := dimensions("image/png", large, true); model.CodeOf(err) != model.CodeFileRefused { // the checksum is wrong as well
		t.Errorf("a large one: %v, want CodeFileRefused", err)
	}
	bomb := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00")
	if _, _, err := dimensions("image/gif", bomb, true); model.CodeOf(err) != model.CodeFileRefused || !strings.Contains(err.Error(), "65535 × 65535") {
		t.Errorf("a GIF of 4 gigapixels: %v, want CodeFileRefused", err)
	}
}

// TestLooks: no type that a browser shows can be claimed by what it would run.
func TestLooks(t *testing.T) {
	pages := []string{"<html>", "<!DOCTYPE HTML>", "  \n<script>alert(1)</script>", "<?xml version='1.0'?><svg/>", "<!-- x --><body>", "<svg xmlns='http://www.w3.org/2000/svg'/>", "%PDF-1.4"}
	for _, kind := range inlineTypes {
		if !Shown(kind) || looksLike[kind] == nil {
			t.Errorf("%s is shown and not compared", kind)
		}
		for _, page := range pages {
			if err := checkLook(kind, []byte(page)); model.CodeOf(err) != model.CodeFileRefused {
				t.Errorf("%q is taken as %s: %v", page, kind, err)
			}
		}
	}
	for kind := range looksLike {
		if Shown(kind) && !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "audio/") && !strings.HasPrefix(kind, "video/") || kind == "image/svg+xml" && Shown(kind) {
			t.Errorf("%s is shown", kind)
		}
	}
	for _, kind := range []string{"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf", unknownType, "", "image/svg", "text/javascript"} {
		if Shown(kind) {
			t.Errorf("%q is shown", kind)
		}
	}
	if checkLook("application/x-of-the-operator", []byte("<html>")) == nil || checkLook("application/x-of-the-operator", []byte{0xff, 0, 1}) != nil {
		t.Error("a type that nobody knows takes what looks like something, or not what looks like nothing")
	}
}

// TestFileNames: a name has no path and nothing that hides its end.
func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.png": "a.png", "": "file", "/": "file", ".": "file", "..": "file", "../..": "file", "a/b/c.txt": "c.txt", `C:\a\b.txt`: "b.txt", "a\u202eb\u2066c": "abc", "\x00a\x1f\x7f\n": "a", "\u200e": "file", "👨‍👩‍👦": "👨‍👩‍👦", ".htaccess": ".htaccess",
	} {
		for _, spaced := range []string{name, " " + name + "\t"} {
			if got := plainFileName(spaced); got != want {
				t.Errorf("%q: %q, want %q", spaced, got, want)
			}
		}
	}
}

// TestUploadsAtOnce: of one user so many, of all so many, and the places come back.
func TestUploadsAtOnce(t *testing.T) {
	files, _, _ := newFiles(nil)
	var leave []func()
	for user := range uploads / userUploads {
		for range userUploads {
			l, err := files.enter(model.UserID(user))
			must(t, err)
			leave = append(leave, l)
		}
		if _, err := files.enter(model.UserID(user)); model.CodeOf(err) != model.CodeRateLimited && user < uploads/userUploads-1 {
			t.Fatalf("one more of user %s: %v", strconv.Itoa(user), err)
		}
	}
	if _, err := files.enter(99_999); model.CodeOf(err) != model.CodeUnavailable {
		t.Errorf("one more of all: %v", err)
	}
	for _, l := range leave {
		l()
	}
	if files.all != 0 || len(files.byUser) != 0 {
		t.Errorf("%d are left of %d users", files.all, len(files.byUser))
	}
}
