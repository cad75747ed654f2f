package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

const secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// load reads a configuration as main does: a file, the environment, flags.
func load(t *testing.T, file string, args ...string) (*Config, error) {
	t.Helper()
	var c Config
	parser, err := kong.New(&c, kong.Exit(func(code int) { t.Errorf("exit %d", code) }))
	if err != nil {
		t.Fatal(err)
	}
	if file != "" {
		path := filepath.Join(t.TempDir(), "ackbox.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, flag := range parser.Model.Flags {
			known[flag.Name] = true
		}
		resolver, err := YAML(path, func(name string) bool { return known[name] })
		if err != nil {
			return nil, err
		}
		if err := kong.Resolvers(resolver).Apply(parser); err != nil {
			t.Fatal(err)
		}
	}
	_, err = parser.Parse(args)
	return &c, err
}

func loaded(t *testing.T, file string, args ...string) *Config {
	t.Helper()
	c, err := load(t, file, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clean takes the variables of this process away.
func clean(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "ACKBOX_") {
			t.Setenv(name, "") // so that it comes back
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	clean(t)
	c := loaded(t, "")
	if err := c.Check(); err != nil {
		t.Errorf("the defaults have mistakes: %v", err)
	}
	if !c.Embedded() {
		t.Error("the default is not embedded")
	}
	for what, pair := range map[string][2]any{
		"HTTPAddr":           {c.HTTPAddr, "127.0.0.1:8080"},
		"DataDir":            {c.DataDir, "data"},
		"AckTimeout":         {c.AckTimeout, 3 * time.Second},
		"AckMaxAttempts":     {c.AckMaxAttempts, 5},
		"MailboxGroupLimit":  {c.MailboxGroupLimit, 100},
		"GroupMaxMembers":    {c.GroupMaxMembers, 10_000},
		"ReceiptsMaxMembers": {c.ReceiptsMaxMembers, 500},
		"IdempotencyWindow":  {c.IdempotencyWindow, time.Second},
		"RecallWindow":       {c.RecallWindow, 2 * time.Minute},
		"SweepInterval":      {c.SweepInterval, 5 * time.Second},
		"PasswordMemoryKiB":  {c.PasswordMemoryKiB, uint32(19 << 10)},
		"NodeID":             {c.NodeID, int64(-1)},
		"RateLimit":          {c.RateLimit, "on"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
}

// TestNames: each setting has one name in three spellings, so that docs need only one.
func TestNames(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, env := field.Tag.Get("name"), field.Tag.Get("env")
		if want := "ACKBOX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")); name == "" || env != want {
			t.Errorf("%s: flag %q, variable %q, want %q", field.Name, name, env, want)
		}
		if field.Tag.Get("help") == "" {
			t.Errorf("%s has no help", field.Name)
		}
	}
}

// TestPrecedence: a flag over the environment over the file over the default.
func TestPrecedence(t *testing.T) {
	clean(t)
	const file = "http_addr: 127.0.0.1:1\nack-timeout: 7s\nnode_id: 3\nrate_limit: \"off\"\nredis_url: [\"redis://a:1\", \"redis://b:2\"]\n"
	t.Setenv("ACKBOX_ACK_TIMEOUT", "8s")
	t.Setenv("ACKBOX_NODE_ID", "4")
	t.Setenv("ACKBOX_ALLOWED_ORIGINS", "https://a.example,https://b.example")
	c := loaded(t, file, "--node-id=5", "--jwt-secret="+secret)
	for what, pair := range map[string][2]any{
		"from the file":         {c.HTTPAddr, "127.0.0.1:1"},
		"a word that is YAML's": {c.RateLimit, "off"},
		"a list from the file":  {c.RedisURL, []string{"redis://a:1", "redis://b:2"}},
		"environment over file": {c.AckTimeout, 8 * time.Second},
		"flag over both":        {c.NodeID, int64(5)},
		"environment only":      {c.AllowedOrigins, []string{"https://a.example", "https://b.example"}},
		"default":               {c.SweepInterval, 5 * time.Second},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	if c.Embedded() {
		t.Error("embedded, although a Redis is given")
	}
}

// TestFileMistakes: what a file says wrongly is an error that names it.
func TestFileMistakes(t *testing.T) {
	clean(t)
	for name, c := range map[string]struct{ file, want string }{
		"unknown names, all":  {"http_adr: x\nack_timeot: 1s\n", `"http_adr"|"ack_timeot"`},
		"not YAML":            {"a: [", "configuration file"},
		"not a map":           {"- a\n", "configuration file"},
		"a wrong type":        {"ack_timeout: soon\n", "ack-timeout"},
		"a number that is no": {"node_id: one\n", "node-id"},
	} {
		_, err := load(t, c.file)
		for _, want := range strings.Split(c.want, "|") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want it to say %s", name, err, want)
			}
		}
	}
	if _, err := YAML(filepath.Join(t.TempDir(), "none.yaml"), func(string) bool { return true }); err == nil {
		t.Error("a file that is not there was read")
	}
}

// TestYAMLOnAndOff: YAML's on and off are words to people, and to us.
func TestYAMLOnAndOff(t *testing.T) {
	clean(t)
	for _, value := range []string{"off", "on"} {
		c := loaded(t, "rate_limit: "+value+"\n")
		if err := c.Check(); err != nil || c.RateLimit != value {
			t.Errorf("rate_limit: %s is %q: %v", value, c.RateLimit, err)
		}
	}
}

// TestAllMistakesAtOnce: one start shows all that is wrong, each with its name.
func TestAllMistakesAtOnce(t *testing.T) {
	clean(t)
	c := loaded(t, "")
	c.HTTPAddr, c.AdminAddr = "8080", "localhost"
	c.RedisURL = []string{"redis://127.0.0.1:6379", "localhost:6379"}
	c.JWTSecret = ""
	c.NodeID = 1024
	c.AllowedOrigins = []string{"https://a.example", "a.example", "https://a.example/path"}
	c.AckTimeout, c.IdempotencyWindow, c.SweepInterval, c.Heartbeat, c.AccessTokenTTL, c.RefreshTokenTTL = 0, -1, 1, 2, 3, 4
	c.RecallWindow, c.DrainDelay, c.AuditRetention = -1, time.Hour, 59*time.Minute
	c.AckMaxAttempts, c.AckQueueSize, c.MailboxGroupLimit, c.GroupMaxMembers = 0, 0, -1, 0
	c.ReceiptsMaxMembers, c.DevicesMax, c.PasswordMemoryKiB = -1, 201, 7
	c.ConnectConcurrency, c.MaxSockets, c.RedisSharded = 0, -1, "yes"
	c.RateLimit, c.LogLevel = "yes", "loud"
	c.Presence = "maybe"
	c.TraceRetention, c.TraceBytes, c.TraceRate = time.Second, 1, -1
	c.LimitSend, c.LimitLogin = "3 per 5s", "3/5s,"
	c.AdminUsername = "admin"
	err := c.Check()
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, name := range []string{
		"HTTP_ADDR", "ADMIN_ADDR", "REDIS_URL", "JWT_SECRET", "NODE_ID", "ALLOWED_ORIGINS", "ACK_TIMEOUT", "IDEMPOTENCY_WINDOW", "SWEEP_INTERVAL", "HEARTBEAT", "ACCESS_TOKEN_TTL",
		"REFRESH_TOKEN_TTL", "RECALL_WINDOW", "AUDIT_RETENTION", "DRAIN_DELAY", "ACK_MAX_ATTEMPTS", "ACK_QUEUE_SIZE", "MAILBOX_GROUP_LIMIT", "GROUP_MAX_MEMBERS", "RECEIPTS_MAX_MEMBERS", "DEVICES_MAX", "PASSWORD_MEMORY_KIB", "PRESENCE", "TRACE_RETENTION", "TRACE_BYTES", "TRACE_RATE", "REDIS_SHARDED", "CONNECT_CONCURRENCY", "MAX_SOCKETS", "RATE_LIMIT", "LIMIT_SEND", "LIMIT_LOGIN", "LOG_LEVEL", "ADMIN_USERNAME",
	} {
		if !strings.Contains(err.Error(), "ACKBOX_"+name+": ") {
			t.Errorf("ACKBOX_%s is not named", name)
		}
	}
	if n := strings.Count(err.Error(), "ACKBOX_ALLOWED_ORIGINS: "); n != 2 {
		t.Errorf("%d bad origins were named, want 2", n)
	}
}

// TestSecrets: with a database or a Redis of one's own the secret must be given, and be
// one; no message repeats it.
func TestSecrets(t *testing.T) {
	clean(t)
	for name, c := range map[string]struct {
		mysql, redis, secret string
		ok                   bool
	}{
		"embedded makes its own":  {ok: true},
		"embedded takes one":      {secret: secret, ok: true},
		"MySQL needs one":         {mysql: "u@tcp(h:1)/d"},
		"Redis needs one":         {redis: "redis://h:1"},
		"both":                    {mysql: "u@tcp(h:1)/d", redis: "rediss://h:1", secret: secret, ok: true},
		"short":                   {secret: secret[:31]},
		"a default of an example": {secret: "please-change-me-please-change-me-1234"},
		"the word":                {secret: "secret0123456789abcdef0123456789"},
		"a repetition":            {secret: strings.Repeat("ab", 32)},
		"just long enough":        {secret: "abcdefgh" + strings.Repeat("x", 24), ok: true},
	} {
		config := loaded(t, "")
		config.MySQLDSN, config.JWTSecret = c.mysql, c.secret
		if c.redis != "" {
			config.RedisURL = []string{c.redis}
		}
		err := config.Check()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %t", name, err, c.ok)
		}
		if err != nil && !strings.Contains(err.Error(), "ACKBOX_JWT_SECRET") {
			t.Errorf("%s: %v does not name it", name, err)
		}
		if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: the message repeats the secret", name)
		}
	}
}
