package config

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// Setting is one setting that is in force, as operators may see it.
type Setting struct {
	Name    string // the flag
	Env     string
	Value   string // masked where it is a secret
	Default string
	Changed bool // is not the default
	Secret  bool // Value is not the whole truth
	Help    string
}

// mask stands for a secret that is set.
const mask = "•••"

// Settings are all settings, in the order of the command line. What its tag calls secret is masked: as a whole, or the
// password in an address (secret:"address").
func (c *Config) Settings() []Setting {
	var list []Setting
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		s := Setting{Name: tag.Get("name"), Env: tag.Get("env"), Value: textOf(v.Field(i)), Default: tag.Get("default"), Help: tag.Get("help")}
		s.Changed = s.Value != textOfDefault(v.Field(i), s.Default)
		switch tag.Get("secret") {
		case "":
		case "dsn":
			s.Secret, s.Value = true, maskDSN(s.Value)
		case "address":
			s.Secret = true
			parts := strings.Split(s.Value, ",")
			for i, part := range parts {
				parts[i] = maskAddress(part)
			}
			s.Value = strings.Join(parts, ",")
		default:
			s.Secret = true
			s.Value = maskAny(s.Value)
		}
		list = append(list, s)
	}
	return list
}

func textOf(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration:
		return value.String()
	default:
		return fmt.Sprint(value)
	}
}

// textOfDefault is a default as textOf would say it: "8760h" is 8760h0m0s.
func textOfDefault(v reflect.Value, text string) string {
	if _, is := v.Interface().(time.Duration); is {
		if d, err := time.ParseDuration(text); err == nil {
			return d.String()
		}
	}
	return text
}

// maskDSN hides the password of a data source name of go-sql-driver, read as the driver does: what is before the last @ before
// the last slash is user:password. What has no such parts is hidden whole.
func maskDSN(text string) string {
	slash := strings.LastIndexByte(text, '/')
	if slash < 0 {
		return maskAny(text)
	}
	at := strings.LastIndexByte(text[:slash], '@')
	if at < 0 {
		return text
	}
	user, _, has := strings.Cut(text[:at], ":")
	if !has {
		return text
	}
	return user + ":" + mask + text[at:]
}

func maskAny(text string) string {
	if text == "" {
		return ""
	}
	return mask
}

// maskAddress hides the password of a URL, and whatever is none.
func maskAddress(text string) string {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Opaque != "" {
			return mask
		}
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), "x")
			text = strings.Replace(u.String(), ":x@", ":"+mask+"@", 1)
		}
		if u.RawQuery != "" { // redis takes a password there as well
			text = text[:strings.IndexByte(text, '?')+1] + mask
		}
		return text
	}
	return maskAny(text)
}
