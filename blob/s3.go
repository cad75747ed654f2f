package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Patience with the store: to connect, and for every read and write after that. A client's upload brings
// something more often.
const (
	connectPatience = 5 * time.Second
	storePatience   = 60 * time.Second
)

// S3Options say where the store is.
type S3Options struct {
	Endpoint  string // http:// or https://, host and port
	Bucket    string // which exists
	Region    string
	AccessKey string
	SecretKey string
}

// S3 keeps contents as objects of one bucket, files/<key>. All nodes may share it.
type S3 struct {
	client    *minio.Client
	transport *http.Transport
	bucket    string
}

// NewS3 asks nobody: a store that does not answer is found at the first call.
func NewS3(o S3Options) (*S3, error) {
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint of the file store: %w", err)
	}
	dialer := &net.Dialer{Timeout: connectPatience}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: connectPatience, MaxIdleConnsPerHost: 16, IdleConnTimeout: storePatience / 2, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, fmt.Errorf("file store: %w", err)
			}
			return patient{conn}, nil
		},
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: endpoint.Scheme == "https", Region: o.Region, Transport: transport, MaxRetries: 2,
	})
	if err != nil {
		return nil, fmt.Errorf("file store: %w", err)
	}
	return &S3{client: client, transport: transport, bucket: o.Bucket}, nil
}

// Close ends the idle connections.
func (s *S3) Close() { s.transport.CloseIdleConnections() }

// Ping says whether the bucket can be reached.
func (s *S3) Ping(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, s.bucket)
	if err == nil && !there {
		err = fmt.Errorf("bucket %q: %w", s.bucket, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("file store: %w", err)
	}
	return nil
}

func object(key string) string { return "files/" + key }

// Put stores content in one request, whose parts are signed as they go; nothing is kept in memory. Half a request is no object.
func (s *S3) Put(ctx context.Context, key string, content io.Reader, size int64) error {
	_, err := s.client.PutObject(ctx, s.bucket, object(key), content, size, minio.PutObjectOptions{DisableMultipart: true, ContentType: "application/octet-stream"})
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return nil
}

// Open asks whether the object is there and reads it, or any part of it, when the first byte is wanted.
func (s *S3) Open(ctx context.Context, key string, size int64) (io.ReadSeekCloser, error) {
	info, err := s.client.StatObject(ctx, s.bucket, object(key), minio.StatObjectOptions{})
	if err == nil && info.Size != size {
		err = fmt.Errorf("%d bytes of %d: %w", info.Size, size, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", missing(err))
	}
	return &stored{open: func(offset int64) (io.ReadCloser, error) {
		o := minio.GetObjectOptions{}
		if offset > 0 {
			if err := o.SetRange(offset, 0); err != nil {
				return nil, fmt.Errorf("range: %w", err)
			}
		}
		core := minio.Core{Client: s.client}
		body, _, _, err := core.GetObject(ctx, s.bucket, object(key), o)
		if err != nil {
			return nil, fmt.Errorf("read file: %w", missing(err))
		}
		return body, nil
	}, size: size}, nil
}

// Remove removes the object.
func (s *S3) Remove(ctx context.Context, key string) error {
	if err := missing(s.client.RemoveObject(ctx, s.bucket, object(key), minio.RemoveObjectOptions{})); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove file: %w", err)
	}
	return nil
}

// missing says of an answer that there is no such object.
func missing(err error) error {
	if err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// stored is an object that is read from where it was last sought; until the first Read nothing is fetched.
type stored struct {
	open   func(offset int64) (io.ReadCloser, error)
	size   int64
	offset int64
	body   io.ReadCloser // from offset on; nil: not open
}

func (s *stored) Read(p []byte) (int, error) {
	if s.offset >= s.size {
		return 0, io.EOF
	}
	if s.body == nil {
		body, err := s.open(s.offset)
		if err != nil {
			return 0, err
		}
		s.body = body
	}
	n, err := s.body.Read(p)
	s.offset += int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

func (s *stored) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.offset
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: %w", offset, fs.ErrInvalid)
	}
	if offset == s.offset {
		return offset, nil
	}
	s.offset = offset
	return offset, s.Close()
}

func (s *stored) Close() error {
	if s.body == nil {
		return nil
	}
	body := s.body
	s.body = nil
	if err := body.Close(); err != nil {
		return fmt.Errorf("close file: %w", err)
	}
	return nil
}

// patient is a connection that waits so long for each read and write, and no longer.
type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(storePatience)); err != nil {
		return 0, fmt.Errorf("file store: %w", err)
	}
	return p.Conn.Read(b)
}

// Write also gives the answer, which is awaited meanwhile, new patience.
func (p patient) Write(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(storePatience)); err != nil {
		return 0, fmt.Errorf("file store: %w", err)
	}
	return p.Conn.Write(b)
}
