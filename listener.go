package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"
)

func adminMux(pages, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *server) buildEdge(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", s.config.HTTPAddr); err != nil {
		return fmt.Errorf("ACKBOX_HTTP_ADDR: %w (is another process using the port?)", err)
	}
	if err := s.openCertificate(); err != nil {
		return err
	}
	s.public = &http.Server{Handler: strict(s.config.HSTS, s.api.Handler()), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.onClose("listener", func(ctx context.Context) error { return shutdown(ctx, s.public, s.listener) })
	if s.certificate != nil {
		s.public.TLSConfig = s.certificate.config()
	}
	if s.admin != nil {
		if s.adminL, err = lc.Listen(ctx, "tcp", s.config.AdminAddr); err != nil {
			return fmt.Errorf("ACKBOX_ADMIN_ADDR: %w", err)
		}
		s.onClose("admin listener", func(ctx context.Context) error { return shutdown(ctx, s.admin, s.adminL) })
	}
	return nil
}

// nodeAddress is by what people tell nodes apart: where one listens, and on all interfaces, as in containers, the name of
// its host.
func nodeAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen
	}
	name, err := os.Hostname()
	if err != nil {
		return listen
	}
	return net.JoinHostPort(name, port)
}

// shutdown answers what is in flight and ends the server, cutting what takes longer than
// answerTime. Closing the listener as well covers a server that never served.
func shutdown(ctx context.Context, server *http.Server, listener net.Listener) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if closeErr := listener.Close(); closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}

func (s *server) greet() {
	base := "http://" + s.listener.Addr().String()
	if s.certificate != nil {
		base = "https://" + s.listener.Addr().String()
	}
	dashboard := base + "/admin"
	if s.adminL != nil {
		dashboard = "http://" + s.adminL.Addr().String() + "/admin"
	}
	storage := "SQLite in " + s.config.DataDir
	if s.config.MySQLDSN != "" {
		storage = "MySQL"
	}
	s.log.Info("ackbox is ready", "version", version, "url", base, "docs", base+"/docs", "dashboard", dashboard, "storage", storage, "node", s.ids.Node())
}
