package testenv_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ackbox/internal/testenv"
	"ackbox/internal/testenv/instance"
)

// TestMain lets this test binary play two parts when it is started by its own tests: an ackbox server (as
// `binary serve`) and a test process that is going to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	if os.Getenv("TESTENV_PART") == "doomed" {
		doomed()
		return
	}
	testenv.Main(m)
}

// serve is ready at once and notes each start in its data directory; at SIGTERM it ends, with exit code 3 if FAIL is set.
func serve() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	data := os.Getenv("ACKBOX_DATA_DIR")
	if err := os.MkdirAll(data, 0o700); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	starts, err := os.OpenFile(data+"/starts", os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		_, err = starts.WriteString("x")
	}
	if err = errors.Join(err, starts.Close()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("stray variable:", os.Getenv("ACKBOX_STRAY"))
	listener, err := net.Listen("tcp", os.Getenv("ACKBOX_HTTP_ADDR"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /starts", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, data+"/starts") })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		<-terminated
		if os.Getenv("FAIL") != "" {
			os.Exit(3)
		}
		fmt.Println("bye")
		os.Exit(0)
	}()
	fmt.Println(server.Serve(listener))
	os.Exit(1)
}

// doomed starts a Redis, says its pid, and waits to be killed.
func doomed() {
	server, err := instance.StartRedis(context.Background(), os.Getenv("TESTENV_DIR"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.Process().Pid())
	<-server.Process().Done()
}

func TestMariaDBKeepsDataOverKill(t *testing.T) {
	t.Parallel()
	server := testenv.StartMariaDB(t)
	dsn := server.DSN("shop")
	execute(t, dsn, "CREATE TABLE kept (id INT PRIMARY KEY)")
	execute(t, dsn, "INSERT INTO kept VALUES (7)")
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		if _, err := query(t, dsn, "SELECT id FROM kept"); err == nil {
			t.Fatal("a server that was ended still answers")
		}
		server.Start()
		if got, err := query(t, dsn, "SELECT id FROM kept"); err != nil || got != "7" {
			t.Fatalf("after the start: got %q, %v; want 7", got, err)
		}
	}
	if got, err := query(t, dsn, "SELECT @@innodb_flush_log_at_trx_commit"); err != nil || got != "1" {
		t.Errorf("innodb_flush_log_at_trx_commit: got %q, %v; want 1: the tests' promises would not be those of production", got, err)
	}
}

func TestMySQLIsEmptyAndDropped(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("Fresh", func(t *testing.T) {
		first = testenv.MySQL(t)
		execute(t, first, "CREATE TABLE t (id INT)")
		second := testenv.MySQL(t)
		if got, err := query(t, second, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"); err != nil || got != "0" {
			t.Errorf("tables in a fresh database: got %s, %v; want 0", got, err)
		}
		if got, err := query(t, second, "SELECT @@character_set_database"); err != nil || got != "utf8mb4" {
			t.Errorf("character set: got %s, %v; want utf8mb4", got, err)
		}
	})
	if _, err := query(t, first, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "Unknown database") {
		t.Errorf("a test's database after the test: got error %v; want Unknown database", err)
	}
}

func TestRedisRestartsAndFreezes(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	if got := say(t, server.Addr(), "SET k v"); got != "+OK" {
		t.Fatalf("SET: got %q", got)
	}
	server.Kill()
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		t.Fatal("a killed server accepts connections", conn.Close())
	}
	server.Start()
	if got := say(t, server.Addr(), "EXISTS k"); got != ":0" {
		t.Errorf("EXISTS after a kill: got %q, want :0", got)
	}
	server.Pause()
	if got := say(t, server.Addr(), "PING"); got != "timeout" {
		t.Errorf("PING while frozen: got %q, want no answer", got)
	}
	server.Resume()
	if got := say(t, server.Addr(), "PING"); got != "+PONG" {
		t.Errorf("PING after Resume: got %q", got)
	}
	server.Stop()
	if want, got := "redis://"+server.Addr()+"/0", server.URL(); got != want {
		t.Errorf("URL: got %q, want %q", got, want)
	}
}

func TestRedisIsShared(t *testing.T) {
	t.Parallel()
	if first, second := testenv.Redis(t), testenv.Redis(t); first != second || !strings.HasPrefix(first, "redis") {
		t.Errorf("got %q and %q, want one redis:// URL", first, second)
	}
}

func TestServersDieWithAKilledTestProcess(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "TESTENV_PART=doomed", "TESTENV_DIR="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process, err := instance.StartProcess(child)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the pid: %v (%q)", err, line)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the doomed process said %q", line)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") { // gone, or a zombie of a container's lazy init
			return nil //nolint:nilerr // unreadable is what we are waiting for
		}
		return fmt.Errorf("redis-server %d is still there", pid)
	})
}

func TestServer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ACKBOX_STRAY", "must not reach the server")
	server := testenv.StartServer(t, self)
	server.Kill()
	server.Restart()
	if got := get(t, server.URL+"/starts"); got != "xx" {
		t.Errorf("starts in the data directory: got %q, want xx: a restart keeps port and data", got)
	}
	if err := server.Terminate(); err != nil {
		t.Errorf("Terminate: %v", err)
	}
	if out := server.Output(); strings.Contains(out, "must not") || !strings.Contains(out, "bye") {
		t.Errorf("output: got %q", out)
	}
	failing := testenv.StartServer(t, self, "FAIL=1")
	var exit *exec.ExitError
	if err := failing.Terminate(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("Terminate of a failing server: got %v, want exit code 3", err)
	}
}

func TestProcessThatIgnoresTermIsKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do read -r line; done")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process, err := instance.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	if err := process.Terminate(100 * time.Millisecond); !errors.Is(err, instance.ErrStopTimeout) {
		t.Errorf("Terminate: got %v, want %v", err, instance.ErrStopTimeout)
	}
	if process.Running() {
		t.Error("it still runs")
	}
	if err := stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestReservedPortsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 50 {
		addr := testenv.Addr(t)
		if seen[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		seen[addr] = true
	}
}

func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, dsn, statement string) (value string, err error) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	err = db.QueryRowContext(t.Context(), statement).Scan(&value)
	return value, errors.Join(err, db.Close())
}

// say sends one command to Redis and returns the answer's first line, or "timeout" after half a second.
func say(t *testing.T, addr, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	err = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if err == nil {
		_, err = fmt.Fprintf(conn, "%s\r\n", command)
	}
	var line string
	if err == nil {
		line, err = bufio.NewReader(conn).ReadString('\n')
	}
	closeErr := conn.Close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "timeout"
	}
	if err = errors.Join(err, closeErr); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(line)
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// eventually waits at most ten seconds until condition returns nil.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}
