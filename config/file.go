package config

import (
	"mime"
	"net/url"
	"strings"
)

// maxFileBytes bounds ACKBOX_FILE_MAX_BYTES: what S3 takes in one request.
const maxFileBytes = 5 << 30

// fileTypes are taken unless set otherwise: what people send each other. Pages, scripts and drawings that can carry
// scripts are not among them; who wants to send such a thing sends it as application/octet-stream, which claims nothing.
var fileTypes = []string{
	"image/jpeg", "image/png", "image/gif", "image/webp",
	"audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/webm",
	"video/mp4", "video/ogg", "video/webm",
	"application/pdf", "text/plain", "text/csv", "application/zip", "application/gzip",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.presentation",
	"application/octet-stream",
}

// TakenTypes are the media types of files that are taken.
func (c *Config) TakenTypes() []string {
	if len(c.FileTypes) == 0 {
		return fileTypes
	}
	return c.FileTypes
}

// checkFiles reports the mistakes about files.
func (c *Config) checkFiles(bad func(name, format string, args ...any)) {
	if c.FileMaxBytes < 1 || c.FileMaxBytes > maxFileBytes {
		bad("ACKBOX_FILE_MAX_BYTES", "is %d, want 1 to %d", c.FileMaxBytes, int64(maxFileBytes))
	}
	if c.FileQuotaBytes < 0 {
		bad("ACKBOX_FILE_QUOTA_BYTES", "is %d, want 0 or more", c.FileQuotaBytes)
	}
	for _, t := range c.FileTypes {
		if media, params, err := mime.ParseMediaType(t); err != nil || media != t || len(params) > 0 || strings.Count(t, "/") != 1 || strings.Contains(t, "*") {
			bad("ACKBOX_FILE_TYPES", "%q is not a media type such as image/png, in lower case", t)
		}
	}
	if c.S3Endpoint == "" {
		if c.S3Bucket != "" || c.S3AccessKey != "" || c.S3SecretKey != "" {
			bad("ACKBOX_S3_ENDPOINT", "is needed with the other settings of the store")
		}
		return
	}
	if u, err := url.Parse(c.S3Endpoint); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		bad("ACKBOX_S3_ENDPOINT", "want http://host:port or https://host, without a path")
	}
	for name, value := range map[string]string{"ACKBOX_S3_BUCKET": c.S3Bucket, "ACKBOX_S3_REGION": c.S3Region, "ACKBOX_S3_ACCESS_KEY": c.S3AccessKey, "ACKBOX_S3_SECRET_KEY": c.S3SecretKey} {
		if value == "" {
			bad(name, "is needed with ACKBOX_S3_ENDPOINT")
		}
	}
}
