package config

import (
	"slices"
	"strings"
	"testing"
)

// TestFiles: what files may be, and where they go.
func TestFiles(t *testing.T) {
	clean(t)
	c := loaded(t, "")
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"text/html", "image/svg+xml", "text/xml", "application/xhtml+xml", "text/javascript"} {
		if slices.Contains(c.TakenTypes(), kind) {
			t.Errorf("%s is taken", kind)
		}
	}
	store := []string{"--s3-endpoint=https://s3.example.com", "--s3-bucket=b", "--s3-access-key=a", "--s3-secret-key=s"}
	if err := loaded(t, "", store...).Check(); err != nil {
		t.Error(err)
	}
	if got := loaded(t, "", "--file-types=a/b,c/d").TakenTypes(); !slices.Equal(got, []string{"a/b", "c/d"}) {
		t.Errorf("types %v", got)
	}
	for args, name := range map[string]string{
		"--file-max-bytes=0": "ACKBOX_FILE_MAX_BYTES", "--file-max-bytes=9999999999": "ACKBOX_FILE_MAX_BYTES", "--file-quota-bytes=-1": "ACKBOX_FILE_QUOTA_BYTES",
		"--file-types=png": "ACKBOX_FILE_TYPES", "--file-types=image/*": "ACKBOX_FILE_TYPES", "--file-types=IMAGE/PNG": "ACKBOX_FILE_TYPES", "--file-types=text/plain;charset=utf-8": "ACKBOX_FILE_TYPES",
		"--s3-bucket=b": "ACKBOX_S3_ENDPOINT", "--s3-endpoint=https://s3.example.com": "ACKBOX_S3_BUCKET",
		strings.Join(store, " ") + " --s3-endpoint=s3.example.com":     "ACKBOX_S3_ENDPOINT",
		strings.Join(store, " ") + " --s3-endpoint=https://s3/b":       "ACKBOX_S3_ENDPOINT",
		strings.Join(store, " ") + " --s3-endpoint=ftp://s3":           "ACKBOX_S3_ENDPOINT",
		strings.Join(store, " ") + " --s3-endpoint=https://a:b@s3.com": "ACKBOX_S3_ENDPOINT",
		strings.Join(store[:3], " "):                                   "ACKBOX_S3_SECRET_KEY",
		strings.Join(store, " ") + " --s3-region=":                     "ACKBOX_S3_REGION",
	} {
		err := loaded(t, "", strings.Fields(args)...).Check()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %s named", args, err, name)
		}
	}
}
