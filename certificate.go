package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// certificateLook is how often a handshake, or a scrape of the metrics, looks whether the files have changed.
const certificateLook = time.Second

// certificate is the server's own, read again when its files change: who renews it restarts nothing.
// Files that do not fit each other (one of two has been replaced) change nothing until they do.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]
	looked  atomic.Int64 // Unix nanoseconds
	mu      sync.Mutex
	read    [2]fileStamp // the files as they were read, or refused
}

// fileStamp changes with a file.
type fileStamp struct {
	modified time.Time
	size     int64
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamps, err := c.stamps()
	if err != nil {
		return nil, err
	}
	err = c.load(stamps)
	return c, err
}

func (c *certificate) stamps() (stamps [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamps, err //nolint:wrapcheck // names the file
		}
		stamps[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func (c *certificate) load(stamps [2]fileStamp) error {
	c.read = stamps
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	if pair.Leaf == nil {
		return errors.New("no certificate in it")
	}
	c.current.Store(&pair)
	return nil
}

// get is tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.look(time.Now())
	return c.current.Load(), nil
}

// look reads the files again if they have changed. One caller does it; the others go on with what there is.
func (c *certificate) look(now time.Time) {
	last := c.looked.Load()
	if now.UnixNano()-last < int64(certificateLook) || !c.looked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	stamps, err := c.stamps()
	if err != nil {
		c.log.Warn("the certificate's files cannot be looked at; the one that is known is used", "error", err)
		return
	}
	if stamps == c.read {
		return
	}
	if err := c.load(stamps); err != nil {
		c.log.Warn("a new certificate cannot be used; the one that is known is", "error", err)
		return
	}
	c.log.Info("a new certificate is used", "not_after", c.current.Load().Leaf.NotAfter, "names", c.current.Load().Leaf.DNSNames)
}

// leaf is the certificate that a handshake would get now: metrics know of a new one before anybody connects.
func (c *certificate) leaf() *x509.Certificate {
	c.look(time.Now())
	return c.current.Load().Leaf
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// openCertificate reads the certificate, if there is one to serve with.
func (s *server) openCertificate() (err error) {
	if s.config.TLSCert == "" {
		return nil
	}
	if s.certificate, err = newCertificate(s.config.TLSCert, s.config.TLSKey, s.log); err != nil {
		return fmt.Errorf("ACKBOX_TLS_CERT, ACKBOX_TLS_KEY: %w", err)
	}
	return nil
}

// strict tells browsers to use nothing but HTTPS from now on; 0: they are not told.
func strict(maxAge time.Duration, next http.Handler) http.Handler {
	if maxAge == 0 {
		return next
	}
	value := "max-age=" + strconv.FormatInt(int64(maxAge.Seconds()), 10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", value)
		next.ServeHTTP(w, r)
	})
}
