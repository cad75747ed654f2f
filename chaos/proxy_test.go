package chaos

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// fakeDatabase answers every packet with its own payload, and notes it.
func fakeDatabase(t *testing.T) (addr string, got <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets := make(chan string, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			for {
				payload, err := readPacket(conn)
				if err != nil {
					break
				}
				packets <- payload
				if _, err := conn.Write(packet(payload)); err != nil {
					break
				}
			}
			abort(conn)
		}
	}()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return listener.Addr().String(), packets
}

func packet(payload string) []byte {
	return append([]byte{byte(len(payload)), 0, 0, 0}, payload...)
}

func readPacket(r io.Reader) (string, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return "", err
	}
	payload := make([]byte, header[0])
	_, err := io.ReadFull(r, payload)
	return string(payload), err
}

// ask sends a packet and reads its answer.
func ask(t *testing.T, conn net.Conn, payload string) (string, error) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(packet(payload)); err != nil {
		return "", err
	}
	return readPacket(conn)
}

func TestProxyCutsInCommit(t *testing.T) {
	const commit = "\x03COMMIT"
	for _, c := range []struct {
		name    string
		where   Cut
		arrives bool
	}{{"before", CutBefore, false}, {"after", CutAfter, true}} {
		t.Run(c.name, func(t *testing.T) {
			server, got := fakeDatabase(t)
			proxy, err := NewProxy(server, true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := proxy.Close(); err != nil {
					t.Error(err)
				}
			})
			conn, err := net.Dial("tcp", proxy.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // the proxy has cut it
			for _, payload := range []string{"\x03SELECT 1", commit} {
				if answer, err := ask(t, conn, payload); err != nil || answer != payload {
					t.Fatalf("unarmed: %q, %v; want %q", answer, err, payload)
				}
				<-got
			}
			proxy.CutCommits(c.where, 1)
			if answer, err := ask(t, conn, "\x03SELECT 2"); err != nil {
				t.Fatalf("%q, %v; only a COMMIT is to be cut", answer, err)
			}
			<-got
			var timeout net.Error
			if answer, err := ask(t, conn, commit); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("the COMMIT was answered with %q, %v; want a lost connection", answer, err)
			}
			if n := proxy.Cuts(); n != 1 {
				t.Errorf("%d cuts, want 1", n)
			}
			if c.arrives {
				if payload := <-got; payload != commit {
					t.Errorf("the database got %q, want the COMMIT", payload)
				}
			} else if len(got) != 0 {
				t.Errorf("the database got %q", <-got)
			}
		})
	}
}
