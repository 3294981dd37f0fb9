// SPDX-License-Identifier: MIT

// quic-go as a peer of the benchmark: peer_quic_go bulk|handshakes|requests|idle N, as
// tests/bench/peers/peer.h says. The program starts itself twice, one end on each core.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	requestBytes   = 128
	requestsAtOnce = 100
	dialsAtOnce    = 16
	warmUp         = 50
	protocol       = "bench"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer_quic_go:", err)
		os.Exit(1)
	}
}

// A certificate for localhost, made anew for each run.
func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	now := time.Now()
	facts := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, facts, facts, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func settings() *quic.Config {
	return &quic.Config{MaxIncomingStreams: 1000, MaxIdleTimeout: time.Minute,
		InitialStreamReceiveWindow: 8 << 20, MaxStreamReceiveWindow: 16 << 20,
		InitialConnectionReceiveWindow: 12 << 20, MaxConnectionReceiveWindow: 24 << 20}
}

func rssBytes() int64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	check(err)
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	check(err)
	return pages * int64(os.Getpagesize())
}

func serve(figure string, n int) {
	cert := certificate()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	listener, err := quic.Listen(socket, &tls.Config{Certificates: []tls.Certificate{cert},
		NextProtos: []string{protocol}}, settings())
	check(err)
	fmt.Println("ready", socket.LocalAddr().(*net.UDPAddr).Port,
		base64.StdEncoding.EncodeToString(cert.Certificate[0]))
	var before int64
	for count := 1; ; count++ {
		conn, err := listener.Accept(context.Background())
		check(err)
		switch figure {
		case "bulk":
			go drain(conn, n)
		case "requests":
			go answer(conn)
		case "idle":
			go func() { // The client closes nothing before it was told so.
				stream, err := conn.AcceptStream(context.Background())
				if err == nil {
					io.Copy(io.Discard, stream)
					stream.Close()
				}
			}()
			if count == warmUp {
				time.Sleep(300 * time.Millisecond)
				before = rssBytes()
			} else if count == warmUp+n {
				time.Sleep(300 * time.Millisecond)
				fmt.Println("bytes_per_connection", (rssBytes()-before)/int64(n))
			}
		}
	}
}

// Goodput from the first byte to the last, as the receiver sees it.
func drain(conn *quic.Conn, mib int) {
	stream, err := conn.AcceptUniStream(context.Background())
	check(err)
	buffer := make([]byte, 256<<10)
	var start time.Time
	total := 0
	for {
		got, err := stream.Read(buffer)
		if total == 0 {
			start = time.Now()
		}
		total += got
		if err == io.EOF {
			break
		}
		check(err)
	}
	if total != mib<<20 {
		check(fmt.Errorf("%d bytes came", total))
	}
	fmt.Printf("bits_per_second %.0f\n", float64(total)*8/time.Since(start).Seconds())
	conn.CloseWithError(0, "")
}

func answer(conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go func() {
			request, err := io.ReadAll(stream)
			if err != nil {
				return
			}
			stream.Write(request)
			stream.Close()
		}()
	}
}

type client struct {
	transport *quic.Transport
	address   net.Addr
	tls       *tls.Config
}

func (c *client) dial() *quic.Conn {
	conn, err := c.transport.Dial(context.Background(), c.address, c.tls, settings())
	check(err)
	return conn
}

// Runs work n times, at most width at a time, and returns how often per second.
func rate(n, width int, work func()) float64 {
	var group sync.WaitGroup
	tickets := make(chan struct{}, n)
	for range n {
		tickets <- struct{}{}
	}
	close(tickets)
	start := time.Now()
	for range width {
		group.Go(func() {
			for range tickets {
				work()
			}
		})
	}
	group.Wait()
	return float64(n) / time.Since(start).Seconds()
}

func request(conn *quic.Conn) {
	stream, err := conn.OpenStreamSync(context.Background())
	check(err)
	_, err = stream.Write(make([]byte, requestBytes))
	check(err)
	stream.Close()
	reply, err := io.ReadAll(stream)
	check(err)
	if len(reply) != requestBytes {
		check(fmt.Errorf("a reply of %d bytes", len(reply)))
	}
}

func drive(figure string, n, port int, cert string) {
	der, err := base64.StdEncoding.DecodeString(cert)
	check(err)
	parsed, err := x509.ParseCertificate(der)
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	socket, err := net.ListenUDP("udp4", nil)
	check(err)
	c := &client{&quic.Transport{Conn: socket},
		&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port},
		&tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{protocol}}}
	switch figure {
	case "bulk":
		conn := c.dial()
		stream, err := conn.OpenUniStream()
		check(err)
		chunk := make([]byte, 64<<10)
		for range n << 20 / len(chunk) {
			_, err = stream.Write(chunk)
			check(err)
		}
		stream.Close()
		<-conn.Context().Done()
	case "handshakes":
		fmt.Printf("handshakes_per_second %.1f\n", rate(n, dialsAtOnce, func() {
			c.dial().CloseWithError(0, "")
		}))
	case "requests":
		conn := c.dial()
		rate(n/10, requestsAtOnce, func() { request(conn) })
		fmt.Printf("requests_per_second %.0f\n", rate(n, requestsAtOnce, func() { request(conn) }))
	case "idle":
		held := make([]*quic.Conn, 0, warmUp+n)
		for range warmUp {
			held = append(held, c.dial())
		}
		time.Sleep(time.Second)
		for range n {
			held = append(held, c.dial())
		}
		time.Sleep(time.Second)
	}
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 1 && arguments[0] == "version" {
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, module := range info.Deps {
				if module.Path == "github.com/quic-go/quic-go" {
					fmt.Println("version quic-go", module.Version, info.GoVersion)
				}
			}
		}
		return
	}
	if len(arguments) == 5 && arguments[0] == "drive" {
		n, _ := strconv.Atoi(arguments[2])
		port, _ := strconv.Atoi(arguments[3])
		drive(arguments[1], n, port, arguments[4])
		return
	}
	if len(arguments) == 3 && arguments[0] == "serve" {
		n, _ := strconv.Atoi(arguments[2])
		serve(arguments[1], n)
		return
	}
	if len(arguments) != 2 {
		fmt.Fprintln(os.Stderr, "peer_quic_go bulk|handshakes|requests|idle N, or version")
		os.Exit(2)
	}
	pair(arguments[0], arguments[1])
}

// The server on core 0, then the client on core 1; the server ends with the client.
func pair(figure, n string) {
	self, err := os.Executable()
	check(err)
	server := exec.Command("taskset", "-c", "0", self, "serve", figure, n)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	check(err)
	check(server.Start())
	var word, port, cert string
	_, err = fmt.Fscanln(out, &word, &port, &cert)
	check(err)
	var relay sync.WaitGroup
	relay.Go(func() { io.Copy(os.Stdout, out) })
	client := exec.Command("taskset", "-c", "1", self, "drive", figure, n, port, cert)
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	failed := client.Run()
	server.Process.Kill()
	relay.Wait()
	server.Wait()
	check(failed)
}
