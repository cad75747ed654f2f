package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// secretive finds the settings whose name says that they may hold a secret.
var secretive = regexp.MustCompile(`(?i)secret|password|passwd|token$|api-?key|access-key|private|credential|dsn|url|endpoint|headers|auth`)

// TestSecretsAreMasked walks all settings: whatever may hold a secret does not show it.
func TestSecretsAreMasked(t *testing.T) {
	const canary = "c4nary-v4lue"
	c := Config{}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("name")
		if !secretive.MatchString(name) {
			continue
		}
		value := canary
		switch {
		case strings.Contains(name, "dsn"):
			value = "me:" + canary + "@x/" + canary + "@tcp(127.0.0.1:3306)/ackbox?a=b"
		case strings.Contains(name, "url"), strings.Contains(name, "endpoint"):
			value = "redis://me:" + canary + "@127.0.0.1:6379/0?password=" + canary
		}
		switch field := v.Field(i).Addr().Interface().(type) {
		case *string:
			*field = value
		case *[]string:
			*field = []string{value, value}
		}
	}
	masked := 0
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, canary) {
			t.Errorf("%s shows its secret: %s; give the field a tag secret", s.Env, s.Value)
		}
		if secretive.MatchString(s.Name) && s.Secret {
			masked++
		}
	}
	if masked < 6 {
		t.Errorf("%d secrets", masked)
	}
}

// TestMaskDSN: the password is what the driver takes for it, whatever is in it.
func TestMaskDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                               "",
		"me:pass@tcp(h:3306)/db?a=b":     "me:•••@tcp(h:3306)/db?a=b",
		"me@azure:pass@tcp(h:3306)/db":   "me@azure:•••@tcp(h:3306)/db",
		"me:pa,ss@tcp(h:3306)/db":        "me:•••@tcp(h:3306)/db",
		"me:pa://ss@tcp(h:3306)/db":      "me:•••@tcp(h:3306)/db",
		"me:p@a/s:s@unix(/run/sql)/db":   "me:•••@unix(/run/sql)/db",
		"me@tcp(h:3306)/db":              "me@tcp(h:3306)/db",
		"something else, perhaps pass":   "•••",
		"tcp(h:3306)/db?password=a%20b2": "tcp(h:3306)/db?password=a%20b2",
	} {
		if got := maskDSN(dsn); got != want {
			t.Errorf("%s: got %s, want %s", dsn, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	clean(t)
	c := loaded(t, "")
	byEnv := map[string]Setting{}
	for _, s := range c.Settings() {
		byEnv[s.Env] = s
		if s.Changed && s.Env != "ACKBOX_DATA_DIR" {
			t.Errorf("%s is the default and says it is not: %+v", s.Env, s)
		}
		if s.Name == "" || s.Env == "" || s.Help == "" {
			t.Errorf("a setting without its words: %+v", s)
		}
	}
	if s := byEnv["ACKBOX_JWT_SECRET"]; s.Value != "" || !s.Secret {
		t.Errorf("a secret that is not set: %+v", s)
	}
	c.AckTimeout, c.AllowedOrigins, c.JWTSecret = time.Minute, []string{"https://a", "https://b"}, "0123456789abcdef0123456789abcdef"
	c.MySQLDSN, c.RedisURL = "me:p@ss:word@tcp(db:3306)/ackbox", []string{"redis://:pw@one:6379", "rediss://two:6379"}
	for _, s := range c.Settings() {
		byEnv[s.Env] = s
	}
	for env, want := range map[string]string{
		"ACKBOX_ACK_TIMEOUT": "1m0s", "ACKBOX_ALLOWED_ORIGINS": "https://a,https://b", "ACKBOX_JWT_SECRET": "•••", "ACKBOX_MYSQL_DSN": "me:•••@tcp(db:3306)/ackbox", "ACKBOX_REDIS_URL": "redis://:•••@one:6379,rediss://two:6379",
	} {
		if s := byEnv[env]; s.Value != want || !s.Changed {
			t.Errorf("%s: got %+v, want %s", env, s, want)
		}
	}
}
