package service

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// measuredBlobs counts what is asked of a file store and how long it takes.
type measuredBlobs struct{ blobs Blobs }

// The operations of a file store, as labels.
const (
	blobPut    = "put"
	blobOpen   = "open"
	blobRemove = "remove"
)

func measure(operation string, start time.Time, err error) {
	metrics.fileSeconds.WithLabelValues(operation).Observe(time.Since(start).Seconds())
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, context.Canceled) {
		metrics.fileErrors.WithLabelValues(operation).Inc()
	}
}

// Put implements Blobs. An upload that its client breaks off is no error of the store.
func (m measuredBlobs) Put(ctx context.Context, key string, content io.Reader, size int64) error {
	start, from := time.Now(), &source{Reader: content}
	err := m.blobs.Put(ctx, key, from, size)
	if from.err != nil {
		measure(blobPut, start, nil)
		return err //nolint:wrapcheck // the store's own
	}
	measure(blobPut, start, err)
	if err == nil {
		metrics.fileBytes.Add(float64(size))
	}
	return err //nolint:wrapcheck // the store's own
}

// Open implements Blobs.
func (m measuredBlobs) Open(ctx context.Context, key string, size int64) (io.ReadSeekCloser, error) {
	start := time.Now()
	content, err := m.blobs.Open(ctx, key, size)
	measure(blobOpen, start, err)
	return content, err //nolint:wrapcheck // the store's own
}

// Remove implements Blobs.
func (m measuredBlobs) Remove(ctx context.Context, key string) error {
	start := time.Now()
	err := m.blobs.Remove(ctx, key)
	measure(blobRemove, start, err)
	return err //nolint:wrapcheck // the store's own
}

// source remembers why its content broke off.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err //nolint:wrapcheck // the client's
}
