package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// keeper is what both kinds do.
type keeper interface {
	Put(ctx context.Context, key string, content io.Reader, size int64) error
	Open(ctx context.Context, key string, size int64) (io.ReadSeekCloser, error)
	Remove(ctx context.Context, key string) error
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newS3(t *testing.T, store *testenv.S3) *S3 {
	t.Helper()
	s, err := NewS3(S3Options{Endpoint: store.URL(), Bucket: testenv.S3Bucket, Region: testenv.S3Region, AccessKey: testenv.S3AccessKey, SecretKey: testenv.S3SecretKey})
	ok(t, err)
	t.Cleanup(s.Close)
	return s
}

// TestKeepers: what was put is there, as a whole and from anywhere, until it is removed.
func TestKeepers(t *testing.T) {
	folder, err := NewFolder(filepath.Join(t.TempDir(), "files"))
	ok(t, err)
	for name, k := range map[string]keeper{"folder": folder, "S3": newS3(t, testenv.StartS3(t))} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			content := make([]byte, 300_000)
			rand.Read(content)
			size := int64(len(content))
			if _, err := k.Open(ctx, "42", size); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("before: %v, want fs.ErrNotExist", err)
			}
			ok(t, k.Remove(ctx, "42")) // what is not there is no error
			ok(t, k.Put(ctx, "42", bytes.NewReader(content), size))
			if _, err := k.Open(ctx, "42", size+1); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("of another size: %v, want fs.ErrNotExist", err)
			}
			r, err := k.Open(ctx, "42", size)
			ok(t, err)
			end, err := r.Seek(0, io.SeekEnd)
			ok(t, err)
			if end != size {
				t.Errorf("its end is at %d, want %d", end, size)
			}
			for _, from := range []int64{0, 1, size - 3, 70_000} {
				_, err := r.Seek(from, io.SeekStart)
				ok(t, err)
				got, err := io.ReadAll(r)
				ok(t, err)
				if !bytes.Equal(got, content[from:]) {
					t.Errorf("from %d: %d bytes, or others, want %d", from, len(got), size-from)
				}
			}
			ok(t, r.Close())
			ok(t, k.Remove(ctx, "42"))
			if _, err := k.Open(ctx, "42", size); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after its end: %v, want fs.ErrNotExist", err)
			}
		})
	}
}

// TestBrokenPut: of content that ends early, or whose reader fails, nothing is there; the folder keeps a part, which Remove removes.
func TestBrokenPut(t *testing.T) {
	root := filepath.Join(t.TempDir(), "files")
	folder, err := NewFolder(root)
	ok(t, err)
	store := testenv.StartS3(t)
	for name, k := range map[string]keeper{"folder": folder, "S3": newS3(t, store)} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			broken := errors.New("the client is gone")
			for _, content := range []io.Reader{strings.NewReader("half"), io.MultiReader(strings.NewReader("half"), failing{broken})} {
				if k.Put(ctx, "7", content, 8) == nil {
					t.Error("half of a file was taken")
				}
				if _, err := k.Open(ctx, "7", 8); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("got %v, want fs.ErrNotExist", err)
				}
			}
			ok(t, k.Remove(ctx, "7"))
		})
	}
	if keys := store.Keys(); len(keys) != 0 {
		t.Errorf("the store has %v", keys)
	}
	ok(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is left", path)
		}
		return err
	}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestKeysOfAFolder: only digits get into a path.
func TestKeysOfAFolder(t *testing.T) {
	root := t.TempDir()
	folder, err := NewFolder(filepath.Join(root, "files"))
	ok(t, err)
	for _, key := range []string{"", "../x", "1/2", "a", "..", "1\x00", strings.Repeat("1", 65), "-1"} {
		if folder.Put(t.Context(), key, strings.NewReader("x"), 1) == nil {
			t.Errorf("put %q", key)
		}
		if _, err := folder.Open(t.Context(), key, 1); err == nil {
			t.Errorf("opened %q", key)
		}
		if folder.Remove(t.Context(), key) == nil {
			t.Errorf("removed %q", key)
		}
	}
	entries, err := os.ReadDir(root)
	ok(t, err)
	if len(entries) != 1 {
		t.Errorf("beside the folder: %v", entries)
	}
}

// TestS3Away: a store that is stopped, or broken, or that does not know us, is an error of every call, and no longer one
// when it is back.
func TestS3Away(t *testing.T) {
	store := testenv.StartS3(t)
	s := newS3(t, store)
	ctx := t.Context()
	ok(t, s.Ping(ctx))
	ok(t, s.Put(ctx, "1", strings.NewReader("x"), 1))
	all := func(what string, s *S3) {
		t.Helper()
		_, openErr := s.Open(ctx, "1", 1)
		for call, err := range map[string]error{"ping": s.Ping(ctx), "put": s.Put(ctx, "2", strings.NewReader("x"), 1), "open": openErr, "remove": s.Remove(ctx, "1")} {
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, %s: %v", what, call, err)
			}
		}
	}
	store.Stop()
	all("stopped", s)
	store.Start()
	store.Fail(true)
	all("broken", s)
	store.Fail(false)
	stranger, err := NewS3(S3Options{Endpoint: store.URL(), Bucket: testenv.S3Bucket, Region: testenv.S3Region, AccessKey: "another", SecretKey: testenv.S3SecretKey})
	ok(t, err)
	t.Cleanup(stranger.Close)
	all("strange", stranger)
	other, err := NewS3(S3Options{Endpoint: store.URL(), Bucket: "another-bucket", Region: testenv.S3Region, AccessKey: testenv.S3AccessKey, SecretKey: testenv.S3SecretKey})
	ok(t, err)
	t.Cleanup(other.Close)
	if err := other.Ping(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another bucket: %v, want fs.ErrNotExist", err)
	}
	r, err := s.Open(ctx, "1", 1)
	ok(t, err)
	got, err := io.ReadAll(r)
	ok(t, err)
	ok(t, r.Close())
	if string(got) != "x" {
		t.Errorf("got %q", got)
	}
}
