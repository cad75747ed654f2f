package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ackbox/config"

	"github.com/gorilla/websocket"
)

// makeCertificate writes a certificate of 127.0.0.1 and its key, and trusts it.
func makeCertificate(t *testing.T, certFile, keyFile string, number int64, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(number) * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestTLS serves REST over HTTP/2 and pushes over wss with a certificate of its own, and takes a new one without a restart.
func TestTLS(t *testing.T) {
	dir, roots := t.TempDir(), x509.NewCertPool()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	makeCertificate(t, certFile, keyFile, 1, roots)
	s := serve(t, "--tls-cert="+certFile, "--tls-key="+keyFile, "--hsts=24h")
	addr := s.listener.Addr().String()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	var last *http.Response // its headers
	ask := func(method, path, token string, body any, into any) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode > 299 {
			t.Fatalf("%s: %s, %v", path, response.Status, err)
		}
		last = response
	}
	type grant struct {
		AccessToken string `json:"access_token"`
		User        struct {
			ID string `json:"user_id"`
		} `json:"user"`
	}
	var sender, receiver grant
	ask(http.MethodPost, "/v1/auth/register", "", map[string]any{"username": "sender", "password": "a long password"}, &sender)
	ask(http.MethodPost, "/v1/auth/register", "", map[string]any{"username": "receiver", "password": "a long password"}, &receiver)
	if last.ProtoMajor != 2 {
		t.Errorf("got %s, want HTTP/2", last.Proto)
	}
	if got := last.Header.Get("Strict-Transport-Security"); got != "max-age=86400" {
		t.Errorf("Strict-Transport-Security: got %q", got)
	}
	if serial := last.TLS.PeerCertificates[0].SerialNumber.Int64(); serial != 1 {
		t.Errorf("got certificate %d, want the first", serial)
	}

	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
	socket, upgrade, err := dialer.DialContext(t.Context(), "wss://"+addr+"/v1/ws?device_id=phone", http.Header{"Authorization": {"Bearer " + receiver.AccessToken}})
	if err != nil {
		t.Fatal(err)
	}
	upgrade.Body.Close()
	t.Cleanup(func() { closed(t, socket) })
	await(t, socket, "synced")
	var sent struct{}
	ask(http.MethodPost, "/v1/messages", sender.AccessToken, map[string]any{"client_msg_id": "one", "to_user_id": receiver.User.ID, "type": "text", "body": map[string]any{"text": "hello"}}, &sent)
	if seq := await(t, socket, "message"); seq != 1 {
		t.Errorf("got seq %d over wss, want 1", seq)
	}

	// A key without its certificate is not used; both are, and the socket stays.
	old, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	makeCertificate(t, certFile, keyFile, 2, roots)
	fresh, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		s.certificate.looked.Store(0) // a second has passed
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer closed(t, conn)
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	for _, step := range []struct {
		name    string
		content []byte
		want    int64
	}{{"half of it", old, 1}, {"all of it", fresh, 2}} {
		if err := os.WriteFile(certFile, step.content, 0o600); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Duration(step.want) * time.Minute) // file times may be coarse
		if err := os.Chtimes(certFile, later, later); err != nil {
			t.Fatal(err)
		}
		s.certificate.looked.Store(0)                                           // a second has passed
		if got := s.certificate.leaf().SerialNumber.Int64(); got != step.want { // before any handshake
			t.Errorf("%s: metrics know certificate %d, want %d", step.name, got, step.want)
		}
		if got := serial(); got != step.want {
			t.Errorf("%s: got certificate %d, want %d", step.name, got, step.want)
		}
	}
	ask(http.MethodPost, "/v1/messages", sender.AccessToken, map[string]any{"client_msg_id": "two", "to_user_id": receiver.User.ID, "type": "text", "body": map[string]any{"text": "hello"}}, &sent)
	if seq := await(t, socket, "message"); seq != 2 {
		t.Errorf("got seq %d over wss, want 2", seq)
	}
	if err := (healthcheckCommand{}).Run(t.Context(), &config.Config{HTTPAddr: addr, TLSCert: certFile, TLSKey: keyFile}); err != nil {
		t.Errorf("healthcheck: %v", err)
	}
	oldTLS := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}} //nolint:gosec // which is the question
	if _, err := oldTLS.DialContext(t.Context(), "tcp", addr); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, plain)
	if _, err := io.WriteString(plain, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(plain); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 400") {
		t.Errorf("plain HTTP got %q, %v; want 400", answer, err)
	}
}

// closed closes what a test has opened.
func closed(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
