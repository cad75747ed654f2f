package main

import (
	"net"
	"os"
	"testing"
)

func TestNodeAddress(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "node1:8080": "node1:8080", "[::1]:8080": "[::1]:8080",
		"0.0.0.0:8080": net.JoinHostPort(host, "8080"), "[::]:8080": net.JoinHostPort(host, "8080"), ":8080": net.JoinHostPort(host, "8080"),
	} {
		if got := nodeAddress(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}
