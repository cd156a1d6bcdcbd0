package diagnosis

import "strings"

// says reports whether a text holds one of some phrases, whatever the case.
func says(text string, phrases ...string) bool {
	text = strings.ToLower(text)
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// The phrases by which programs of many languages and libraries say the same.

func saysDNS(text string) bool {
	return says(text, "no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known", "name does not resolve",
		"eai_again", "enotfound", "getaddrinfo", "could not resolve host", "unknownhostexception", "nxdomain", "servfail", "name resolution", "dns lookup", "dns resolution",
		"could not translate host name", "nodename nor servname", "no address associated with hostname") ||
		says(text, "lookup ") && says(text, ":53")
}

func saysExpired(text string) bool {
	return says(text, "certificate has expired", "cert_has_expired", "certificate expired", "certificate is expired", "certificateexpired", "expired certificate", "notafter", "ssl certificate problem: certificate has expired", "is after 20")
}

func saysPool(text string) bool {
	return says(text, "connection pool", "pool exhausted", "pool timeout", "pool is full", "timeout acquiring", "acquire connection", "acquiring connection", "queuepool limit", "too many connections", "remaining connection slots",
		"too many clients", "connection is not available, request timed out", "no free connection", "unable to get a connection", "cannot get a connection", "could not get a connection", "waiting for a connection", "pool size", "max connections", "conn busy")
}

func saysRetry(text string) bool {
	return says(text, "retrying", "retry attempt", "will retry", "retries exhausted", "retry ", "attempt 2", "attempt=", "retry=", "retries=")
}

func saysMissing(text string) bool {
	return says(text, "environment variable", "env var", "is not set", "not set:", "must be set", "is required", "required variable", "missing required", "missing config", "missing key", "undefined variable", "keyerror", "no such file or directory",
		"config not found", "could not resolve placeholder", "unset variable", "missing env", "required key")
}

func saysUnreachable(text string) bool {
	return says(text, "i/o timeout", "connection timed out", "etimedout", "connect timeout", "context deadline exceeded", "no route to host", "ehostunreach", "network is unreachable", "dial tcp", "deadline exceeded", "connecttimeout")
}

// pullTrouble sorts why an image cannot be had: "not_found", "rights", "registry",
// "limit", "name", or "" where the message does not say.
func pullTrouble(text string) string {
	switch {
	case says(text, "toomanyrequests", "too many requests", "429", "rate limit"):
		return "limit"
	case says(text, "invalid reference", "invalidimagename", "couldn't parse image", "invalid image name", "could not parse reference"):
		return "name"
	case says(text, "may require authorization", "may require 'docker login'"):
		return "not_found" // Docker Hub says so of whatever is not there
	case says(text, "manifest unknown", "not found", "name unknown", "no such image", "does not exist", "404", "no matching manifest"):
		return "not_found"
	case says(text, "unauthorized", "authentication required", "denied", "forbidden", "401", "403", "no basic auth"):
		return "rights"
	case says(text, "dial tcp", "timeout", "no such host", "connection refused", "server misbehaving", "deadline exceeded", "tls", "x509", "500", "502", "503", "504", "bad gateway", "service unavailable", "eof"):
		return "registry"
	}
	return ""
}

// database reports whether a name is that of a store.
func database(name string) bool {
	return says(name, "postgres", "mysql", "mariadb", "mongo", "redis", "cassandra", "elastic", "cockroach", "memcached", "valkey", "clickhouse", "etcd", "oracle", "mssql") ||
		strings.HasSuffix(name, "-db") || strings.HasPrefix(name, "db-") || strings.HasSuffix(name, "database") || name == "db" || name == "pg"
}

// variable is the name of an environment variable in a text, "" where there is
// none: a word of capitals with an underscore or two.
func variable(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		if len(word) <= 60 && strings.Contains(strings.Trim(word, "_"), "_") && word == strings.ToUpper(word) && strings.ContainsAny(word[:1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			return word
		}
	}
	return ""
}
