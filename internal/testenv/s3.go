package testenv

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What an S3 wants to be asked with.
const (
	S3Bucket    = "ackbox-files"
	S3Region    = "test-region-1"
	S3AccessKey = "test-access-key"
	S3SecretKey = "test-secret-key"
)

// S3 is a small store that speaks as much of S3's protocol as putting, reading (in parts), asking for and removing objects
// of one bucket takes. It looks at who asks (the access key and the region), and not at the signature.
type S3 struct {
	tb   testing.TB
	addr string

	mu      sync.Mutex
	server  *httptest.Server // nil while it is stopped
	objects map[string][]byte
	failing bool // every request is answered 500
	cutting int  // bytes after which an object that is read breaks off; 0: none
}

// StartS3 starts a store with an empty bucket.
func StartS3(tb testing.TB) *S3 {
	tb.Helper()
	s := &S3{tb: tb, addr: "127.0.0.1:0", objects: map[string][]byte{}}
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// URL is its endpoint.
func (s *S3) URL() string { return "http://" + s.addr }

// Stop makes it unreachable; what it has it keeps.
func (s *S3) Stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Start makes it reachable, where it was.
func (s *S3) Start() {
	s.tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(s.tb.Context(), "tcp", s.addr)
	must(s.tb, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr().String()
	s.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}}
	s.server.Start()
}

// Fail makes it answer 500 to everything, or no longer.
func (s *S3) Fail(failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = failing
}

// CutReads makes objects that are read break off after so many bytes; 0: no longer.
func (s *S3) CutReads(after int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutting = after
}

// Keys are the keys of the objects, sorted.
func (s *S3) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Object is the content of an object; nil when there is none.
func (s *S3) Object(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key]
}

func (s *S3) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	failing, cutting := s.failing, s.cutting
	s.mu.Unlock()
	if failing {
		s3Error(w, http.StatusInternalServerError, "InternalError")
		return
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+S3AccessKey+"/") || !strings.Contains(r.Header.Get("Authorization"), "/"+S3Region+"/s3/") {
		s3Error(w, http.StatusForbidden, "InvalidAccessKeyId")
		return
	}
	bucket, key, named := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case bucket != S3Bucket:
		s3Error(w, http.StatusNotFound, "NoSuchBucket")
	case !named: // whether the bucket is there
	case r.Method == http.MethodPut:
		content, err := s3Content(r)
		if err != nil {
			s3Error(w, http.StatusBadRequest, "IncompleteBody")
			return
		}
		s.mu.Lock()
		s.objects[key] = content
		s.mu.Unlock()
		w.Header().Set("ETag", `"etag"`)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.objects, key)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		content := s.Object(key)
		if content == nil {
			s3Error(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", `"etag"`)
		if cutting > 0 && r.Method == http.MethodGet {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Header().Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
			if _, err := w.Write(content[:min(cutting, len(content))]); err == nil {
				panic(http.ErrAbortHandler)
			}
			return
		}
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	}
}

func s3Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// s3Content reads an object's content, which is as it is or in signed chunks.
func s3Content(r *http.Request) (content []byte, err error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	body := bufio.NewReader(r.Body)
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
		length, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(length, 16, 32)
		if err != nil {
			return nil, fmt.Errorf("length of a chunk: %w", err)
		}
		if n == 0 {
			return content, nil
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(body, chunk); err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
		content = append(content, chunk[:n]...)
	}
}
