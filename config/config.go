// Package config is the one Config of the program: read from a YAML file, the
// environment and flags (later ones win), checked as a whole, and every mistake
// reported at once. Only main reads it.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// MinSecret is the shortest accepted JWT secret in bytes: the size of HMAC-SHA256's
// output, below which RFC 7518 section 3.2 forbids HS256 keys.
const MinSecret = 32

// Config is everything that can be set. The tags are kong's: a flag, the same
// name in the YAML file (http-addr or http_addr), and ACKBOX_… in the environment.
type Config struct {
	HTTPAddr       string   `name:"http-addr" env:"ACKBOX_HTTP_ADDR" default:"127.0.0.1:8080" help:"Address of the public listener."`
	AdminAddr      string   `name:"admin-addr" env:"ACKBOX_ADMIN_ADDR" help:"Address of the admin listener: the admin page and API, metrics and pprof, which are nowhere else then. Empty: they are on the public one, pprof is off."`
	DataDir        string   `name:"data-dir" env:"ACKBOX_DATA_DIR" default:"data" help:"Folder of the SQLite file and the generated secret."`
	MySQLDSN       string   `name:"mysql-dsn" env:"ACKBOX_MYSQL_DSN" secret:"dsn" help:"MySQL, MariaDB or TiDB in go-sql-driver form, e.g. user:pass@tcp(127.0.0.1:3306)/ackbox. Empty: SQLite in the data folder."`
	RedisURL       []string `name:"redis-url" env:"ACKBOX_REDIS_URL" secret:"address" help:"redis://… or rediss://…; of a cluster several of its nodes (comma separated), or one. Empty: an embedded one."`
	RedisSharded   string   `name:"redis-sharded" env:"ACKBOX_REDIS_SHARDED" default:"auto" help:"Sharded Pub/Sub (Redis Cluster 7 or newer) between nodes: on, off, or auto: with several Redis URLs. The same on all nodes."`
	JWTSecret      string   `name:"jwt-secret" env:"ACKBOX_JWT_SECRET" secret:"all" help:"Secret that signs access tokens, at least 32 bytes. Needed with MySQL or Redis; otherwise made once and kept in the data folder."`
	NodeID         int64    `name:"node-id" env:"ACKBOX_NODE_ID" default:"-1" help:"Node id 0 to 1023. -1: lease a free one."`
	AllowedOrigins []string `name:"allowed-origins" env:"ACKBOX_ALLOWED_ORIGINS" help:"Origins of browsers beside the server's own, e.g. https://app.example.com."`
	TrustedProxies []string `name:"trusted-proxies" env:"ACKBOX_TRUSTED_PROXIES" help:"Addresses or networks of proxies whose X-Forwarded-For is believed."`

	AckTimeout            time.Duration `name:"ack-timeout" env:"ACKBOX_ACK_TIMEOUT" default:"3s" help:"How long a push waits for its ack before it is pushed again."`
	AckMaxAttempts        int           `name:"ack-max-attempts" env:"ACKBOX_ACK_MAX_ATTEMPTS" default:"5" help:"Pushes of one entry before its socket is closed with 4008."`
	AckQueueSize          int           `name:"ack-queue-size" env:"ACKBOX_ACK_QUEUE_SIZE" default:"200000" help:"Un-acked pushes that this node remembers; older ones fall back on the mailbox."`
	MailboxGroupLimit     int           `name:"mailbox-group-limit" env:"ACKBOX_MAILBOX_GROUP_LIMIT" default:"100" help:"Members up to which a message is copied into each mailbox."`
	GroupMaxMembers       int           `name:"group-max-members" env:"ACKBOX_GROUP_MAX_MEMBERS" default:"10000" help:"Largest group."`
	ReceiptsMaxMembers    int           `name:"receipts-max-members" env:"ACKBOX_RECEIPTS_MAX_MEMBERS" default:"500" help:"Members up to which a group has receipts; 0: only direct conversations have them."`
	DevicesMax            int           `name:"devices-max" env:"ACKBOX_DEVICES_MAX" default:"100" help:"Devices of a user; a new one beyond it replaces the longest unseen."`
	IdempotencyWindow     time.Duration `name:"idempotency-window" env:"ACKBOX_IDEMPOTENCY_WINDOW" default:"1s" help:"How long the Redis window holds a key that is being sent."`
	RecallWindow          time.Duration `name:"recall-window" env:"ACKBOX_RECALL_WINDOW" default:"2m" help:"How long a sender may recall a message."`
	SweepInterval         time.Duration `name:"sweep-interval" env:"ACKBOX_SWEEP_INTERVAL" default:"5s" help:"How often this node's sessions are compared with their mailboxes."`
	Heartbeat             time.Duration `name:"heartbeat" env:"ACKBOX_HEARTBEAT" default:"25s" help:"How often a socket gets a ping frame."`
	ConnectConcurrency    int           `name:"connect-concurrency" env:"ACKBOX_CONNECT_CONCURRENCY" default:"64" help:"Devices that connect to this node at a time; others wait a moment, then get 503."`
	MaxSockets            int           `name:"max-sockets" env:"ACKBOX_MAX_SOCKETS" default:"200000" help:"Sockets of this node; beyond, connects get 503."`
	TLSCert               string        `name:"tls-cert" env:"ACKBOX_TLS_CERT" help:"Certificate chain (PEM) of the public listener, read again when it changes. Empty: plain HTTP."`
	TLSKey                string        `name:"tls-key" env:"ACKBOX_TLS_KEY" help:"Its private key (PEM)."`
	HSTS                  time.Duration `name:"hsts" env:"ACKBOX_HSTS" default:"0s" help:"How long browsers shall use nothing but HTTPS (Strict-Transport-Security); 0: they are not told."`
	DrainDelay            time.Duration `name:"drain-delay" env:"ACKBOX_DRAIN_DELAY" default:"0s" help:"At a stop, how long /readyz says 503 while requests are still taken: give a load balancer time to see it."`
	AccessTokenTTL        time.Duration `name:"access-token-ttl" env:"ACKBOX_ACCESS_TOKEN_TTL" default:"15m" help:"Life of an access token."`
	RefreshTokenTTL       time.Duration `name:"refresh-token-ttl" env:"ACKBOX_REFRESH_TOKEN_TTL" default:"720h" help:"Life of a refresh token."`
	PasswordMemoryKiB     uint32        `name:"password-memory-kib" env:"ACKBOX_PASSWORD_MEMORY_KIB" default:"19456" help:"Memory of one argon2id hash of a password, in KiB. Hashes of another cost are made again at the next login."`
	FileMaxBytes          int64         `name:"file-max-bytes" env:"ACKBOX_FILE_MAX_BYTES" default:"20971520" help:"Largest file that is taken, in bytes."`
	FileQuotaBytes        int64         `name:"file-quota-bytes" env:"ACKBOX_FILE_QUOTA_BYTES" default:"1073741824" help:"Bytes of one user's files together, each with 4 KiB more; 0: no bound."`
	FileTypes             []string      `name:"file-types" env:"ACKBOX_FILE_TYPES" help:"Media types of files that are taken. Empty: common ones, and application/octet-stream."`
	S3Endpoint            string        `name:"s3-endpoint" env:"ACKBOX_S3_ENDPOINT" secret:"address" help:"S3-compatible store for files, e.g. https://s3.example.com. Empty: a folder in the data folder, of this node alone."`
	S3Bucket              string        `name:"s3-bucket" env:"ACKBOX_S3_BUCKET" help:"Its bucket, which exists."`
	S3Region              string        `name:"s3-region" env:"ACKBOX_S3_REGION" default:"us-east-1" help:"Its region."`
	S3AccessKey           string        `name:"s3-access-key" env:"ACKBOX_S3_ACCESS_KEY" secret:"all" help:"Its access key."`
	S3SecretKey           string        `name:"s3-secret-key" env:"ACKBOX_S3_SECRET_KEY" secret:"all" help:"Its secret key."`
	Presence              string        `name:"presence" env:"ACKBOX_PRESENCE" default:"on" help:"on or off: whether people see who is online."`
	RateLimit             string        `name:"rate-limit" env:"ACKBOX_RATE_LIMIT" default:"on" help:"on or off."`
	LimitRequest          string        `name:"limit-request" env:"ACKBOX_LIMIT_REQUEST" default:"400/2s" help:"All calls with a token, by user: N/DURATION[,N/DURATION...], or off."`
	LimitSend             string        `name:"limit-send" env:"ACKBOX_LIMIT_SEND" default:"400/5s,2400/1m" help:"Sends by user."`
	LimitSendAddress      string        `name:"limit-send-address" env:"ACKBOX_LIMIT_SEND_ADDRESS" default:"5000/5s" help:"Sends by address."`
	LimitSendConversation string        `name:"limit-send-conversation" env:"ACKBOX_LIMIT_SEND_CONVERSATION" default:"500/5s" help:"Sends by conversation."`
	LimitGroup            string        `name:"limit-group" env:"ACKBOX_LIMIT_GROUP" default:"20/1m,200/1h" help:"New groups by user."`
	LimitTicket           string        `name:"limit-ticket" env:"ACKBOX_LIMIT_TICKET" default:"30/10s,300/10m" help:"WebSocket tickets by user."`
	LimitSearch           string        `name:"limit-search" env:"ACKBOX_LIMIT_SEARCH" default:"30/10s,300/10m" help:"User searches by user."`
	LimitTyping           string        `name:"limit-typing" env:"ACKBOX_LIMIT_TYPING" default:"20/10s" help:"Typing calls by user."`
	LimitFile             string        `name:"limit-file" env:"ACKBOX_LIMIT_FILE" default:"60/1m,600/1h" help:"Uploads by user."`
	LimitTrace            string        `name:"limit-trace" env:"ACKBOX_LIMIT_TRACE" default:"20/10s,200/10m" help:"Traces of own messages by user."`
	LimitLogin            string        `name:"limit-login" env:"ACKBOX_LIMIT_LOGIN" default:"10/1m,60/1h" help:"Logins by account."`
	LimitLoginAddress     string        `name:"limit-login-address" env:"ACKBOX_LIMIT_LOGIN_ADDRESS" default:"100/1m,1000/1h" help:"Logins by address."`
	LimitRegister         string        `name:"limit-register" env:"ACKBOX_LIMIT_REGISTER" default:"10/1m,60/1h" help:"Registrations by account name."`
	LimitRegisterAddress  string        `name:"limit-register-address" env:"ACKBOX_LIMIT_REGISTER_ADDRESS" default:"60/1m,600/1h" help:"Registrations by address."`
	LimitRefreshAddress   string        `name:"limit-refresh-address" env:"ACKBOX_LIMIT_REFRESH_ADDRESS" default:"600/1m" help:"Refreshes by address."`
	AuditRetention        time.Duration `name:"audit-retention" env:"ACKBOX_AUDIT_RETENTION" default:"8760h" help:"How long the audit log keeps what operators did."`
	TraceRetention        time.Duration `name:"trace-retention" env:"ACKBOX_TRACE_RETENTION" default:"24h" help:"How long the trace of messages is kept in the data folder; 0: no trace."`
	TraceBytes            int64         `name:"trace-bytes" env:"ACKBOX_TRACE_BYTES" default:"268435456" help:"How many bytes of it; the oldest goes first. 0: no trace."`
	TraceRate             int           `name:"trace-rate" env:"ACKBOX_TRACE_RATE" default:"500" help:"Messages a second up to which all are traced; above, a share. 0: no trace."`
	OTLPEndpoint          string        `name:"otlp-endpoint" env:"ACKBOX_OTLP_ENDPOINT" secret:"address" help:"OpenTelemetry collector that takes spans by OTLP over HTTP, e.g. http://127.0.0.1:4318. Empty: as OTEL_EXPORTER_OTLP_ENDPOINT says, or off."`
	OTLPRatio             float64       `name:"otlp-ratio" env:"ACKBOX_OTLP_RATIO" default:"0.01" help:"Part of the requests that have spans, 0 to 1."`
	LogLevel              string        `name:"log-level" env:"ACKBOX_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	AdminUsername         string        `name:"admin-username" env:"ACKBOX_ADMIN_USERNAME" help:"First admin account, made at start when it does not exist."`
	AdminPassword         string        `name:"admin-password" env:"ACKBOX_ADMIN_PASSWORD" secret:"all" help:"Its password, 10 to 128 characters."`
}

// Sharded says whether the relay uses sharded Pub/Sub.
func (c *Config) Sharded() bool {
	return c.RedisSharded == "on" || c.RedisSharded == "auto" && len(c.RedisURL) > 1
}

// Embedded says whether the process brings its own database and Redis.
func (c *Config) Embedded() bool { return c.MySQLDSN == "" && len(c.RedisURL) == 0 }

// Check (not Validate: the command line would call that for every command) reports every mistake at once, each naming its variable and what to do.
func (c *Config) Check() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
	checkAddr := func(name, addr string) {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			bad(name, "%q is not host:port", addr)
		}
	}
	checkAddr("ACKBOX_HTTP_ADDR", c.HTTPAddr)
	if c.AdminAddr != "" {
		checkAddr("ACKBOX_ADMIN_ADDR", c.AdminAddr)
	}
	for _, u := range c.RedisURL {
		if p, err := url.Parse(u); err != nil || (p.Scheme != "redis" && p.Scheme != "rediss") || p.Host == "" {
			bad("ACKBOX_REDIS_URL", "want redis://host:port or rediss://host:port")
		}
	}
	switch {
	case c.JWTSecret == "" && !c.Embedded():
		bad("ACKBOX_JWT_SECRET", "is needed with ACKBOX_MYSQL_DSN or ACKBOX_REDIS_URL, the same on all nodes; make one with: openssl rand -hex 32")
	case c.JWTSecret != "" && len(c.JWTSecret) < MinSecret:
		bad("ACKBOX_JWT_SECRET", "is %d bytes, want at least %d; make one with: openssl rand -hex 32", len(c.JWTSecret), MinSecret)
	case weakSecret(c.JWTSecret):
		bad("ACKBOX_JWT_SECRET", "is a default or a repetition; make one with: openssl rand -hex 32")
	}
	if c.NodeID < -1 || c.NodeID > 1023 {
		bad("ACKBOX_NODE_ID", "is %d, want 0 to 1023, or -1 to lease one", c.NodeID)
	}
	for _, o := range c.AllowedOrigins {
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			bad("ACKBOX_ALLOWED_ORIGINS", "%q is not an origin such as https://app.example.com", o)
		}
	}
	for name, d := range map[string]time.Duration{
		"ACKBOX_ACK_TIMEOUT": c.AckTimeout, "ACKBOX_IDEMPOTENCY_WINDOW": c.IdempotencyWindow, "ACKBOX_SWEEP_INTERVAL": c.SweepInterval,
		"ACKBOX_HEARTBEAT": c.Heartbeat, "ACKBOX_ACCESS_TOKEN_TTL": c.AccessTokenTTL, "ACKBOX_REFRESH_TOKEN_TTL": c.RefreshTokenTTL,
	} {
		if d < 100*time.Millisecond {
			bad(name, "is %s, want at least 100ms", d)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("ACKBOX_TLS_CERT", "and ACKBOX_TLS_KEY go together")
	}
	if c.HSTS != 0 && (c.HSTS < 0 || c.TLSCert == "") {
		bad("ACKBOX_HSTS", "is %s; want 0 or more, with ACKBOX_TLS_CERT: behind a proxy, the proxy says it", c.HSTS)
	}
	if c.DrainDelay < 0 || c.DrainDelay > time.Minute {
		bad("ACKBOX_DRAIN_DELAY", "is %s, want 0 to 1m", c.DrainDelay)
	}
	if c.AuditRetention < time.Hour {
		bad("ACKBOX_AUDIT_RETENTION", "is %s, want at least 1h", c.AuditRetention)
	}
	if c.RecallWindow < 0 {
		bad("ACKBOX_RECALL_WINDOW", "is %s, want 0 or more", c.RecallWindow)
	}
	for name, n := range map[string]int{
		"ACKBOX_ACK_MAX_ATTEMPTS": c.AckMaxAttempts, "ACKBOX_ACK_QUEUE_SIZE": c.AckQueueSize, "ACKBOX_GROUP_MAX_MEMBERS": c.GroupMaxMembers,
		"ACKBOX_MAILBOX_GROUP_LIMIT": c.MailboxGroupLimit, "ACKBOX_CONNECT_CONCURRENCY": c.ConnectConcurrency, "ACKBOX_MAX_SOCKETS": c.MaxSockets,
	} {
		if n < 1 {
			bad(name, "is %d, want at least 1", n)
		}
	}
	if c.DevicesMax < 1 || c.DevicesMax > 200 {
		bad("ACKBOX_DEVICES_MAX", "is %d, want 1 to 200", c.DevicesMax)
	}
	if c.PasswordMemoryKiB < 8 || c.PasswordMemoryKiB > 1<<20 {
		bad("ACKBOX_PASSWORD_MEMORY_KIB", "is %d, want 8 to %d", c.PasswordMemoryKiB, 1<<20)
	}
	if c.ReceiptsMaxMembers < 0 {
		bad("ACKBOX_RECEIPTS_MAX_MEMBERS", "is %d, want 0 or more", c.ReceiptsMaxMembers)
	}
	c.checkFiles(bad)
	c.checkTrace(bad)
	if c.RedisSharded != "auto" && c.RedisSharded != "on" && c.RedisSharded != "off" {
		bad("ACKBOX_REDIS_SHARDED", "is %q, want auto, on or off", c.RedisSharded)
	}
	if c.Presence != "on" && c.Presence != "off" {
		bad("ACKBOX_PRESENCE", "is %q, want on or off", c.Presence)
	}
	if c.RateLimit != "on" && c.RateLimit != "off" {
		bad("ACKBOX_RATE_LIMIT", "is %q, want on or off", c.RateLimit)
	}
	for name, text := range c.Limits() {
		if _, err := ParseRates(text); err != nil {
			bad("ACKBOX_LIMIT_"+strings.ToUpper(name), "%s", err)
		}
	}
	if u, err := url.Parse(c.OTLPEndpoint); c.OTLPEndpoint != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		bad("ACKBOX_OTLP_ENDPOINT", "want http://host:port or https://host:port")
	}
	if !(c.OTLPRatio >= 0 && c.OTLPRatio <= 1) {
		bad("ACKBOX_OTLP_RATIO", "is %v, want 0 to 1", c.OTLPRatio)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		bad("ACKBOX_LOG_LEVEL", "is %q, want debug, info, warn or error", c.LogLevel)
	}
	if (c.AdminUsername == "") != (c.AdminPassword == "") {
		bad("ACKBOX_ADMIN_USERNAME", "and ACKBOX_ADMIN_PASSWORD go together")
	}
	return errors.Join(errs...)
}

// Traced says whether there is a trace of messages.
func (c *Config) Traced() bool { return c.TraceRetention > 0 && c.TraceBytes > 0 && c.TraceRate > 0 }

func (c *Config) checkTrace(bad func(name, format string, args ...any)) {
	if c.TraceRetention != 0 && (c.TraceRetention < time.Minute || c.TraceRetention > 30*24*time.Hour) {
		bad("ACKBOX_TRACE_RETENTION", "is %s, want 1m to 720h, or 0 for no trace", c.TraceRetention)
	}
	if c.TraceBytes != 0 && (c.TraceBytes < 4<<20 || c.TraceBytes > 1<<40) {
		bad("ACKBOX_TRACE_BYTES", "is %d, want 4194304 (4 MiB) to 1099511627776 (1 TiB), or 0 for no trace", c.TraceBytes)
	}
	if c.TraceRate < 0 || c.TraceRate > 100_000 {
		bad("ACKBOX_TRACE_RATE", "is %d, want 1 to 100000, or 0 for no trace", c.TraceRate)
	}
}

// weakSecret says whether a secret is long enough and still no secret: fewer than
// eight different bytes, or one of the words that examples use.
func weakSecret(s string) bool {
	if s == "" {
		return false
	}
	seen := map[byte]bool{}
	for i := range len(s) {
		seen[s[i]] = true
	}
	low := strings.ToLower(s)
	return len(seen) < 8 || strings.Contains(low, "changeme") || strings.Contains(low, "change-me") || strings.HasPrefix(low, "secret")
}

// YAML is a kong configuration loader: a flat YAML map whose keys are flag names,
// with - or _. A key that no flag has is an error.
func YAML(path string, known func(flag string) bool) (kong.Resolver, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	flags := map[string]any{}
	var errs []error
	for key, value := range values {
		flag := strings.ReplaceAll(key, "_", "-")
		if !known(flag) {
			errs = append(errs, fmt.Errorf("configuration file %s: unknown name %q", path, key))
		}
		if list, ok := value.([]any); ok {
			parts := make([]string, len(list))
			for i, part := range list {
				parts[i] = fmt.Sprint(part)
			}
			value = strings.Join(parts, ",")
		}
		flags[flag] = fmt.Sprint(value)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, env := range flag.Envs {
			if _, set := os.LookupEnv(env); set {
				return nil, nil //nolint:nilnil // kong's way to say: not from here, the environment wins
			}
		}
		return flags[flag.Name], nil
	}), nil
}
