// pretend-machines lets spillwayd boot its simulated machines from inside a pod, where nothing can be started on the
// host: a server on the host starts and ends them, as a provider's data centre would.
//
//	pretend-machines serve SOCKET PROGRAM [ARGUMENTS...]
//	    for each connection, PROGRAM with its arguments and those that the connection sends
//	pretend-machines boot SOCKET [ARGUMENTS...]
//	    asks for a machine, shows what it says, and ends with it; its own end cuts the machine's power. A copy of the
//	    program that is called boot does this with all its arguments, and the SOCKET beside it that is called socket.
//
// The directory behind --disk belongs to the provider: what the machine writes to it stays readable for the owner of
// that directory.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("pretend-machines: ")
	if filepath.Base(os.Args[0]) == "boot" {
		os.Exit(boot(filepath.Join(filepath.Dir(os.Args[0]), "socket"), os.Args[1:]))
	}
	if len(os.Args) >= 4 && os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3:])
	} else if len(os.Args) >= 3 && os.Args[1] == "boot" {
		os.Exit(boot(os.Args[2], os.Args[3:]))
	}
	log.Fatal("usage: pretend-machines serve SOCKET PROGRAM [ARGUMENTS...] | boot SOCKET [ARGUMENTS...]")
}

func boot(socket string, arguments []string) int {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		log.Print(err)
		return 125
	}
	if err := json.NewEncoder(connection).Encode(arguments); err != nil {
		log.Print(err)
		return 125
	}
	// The last line that the server sends is the exit status; everything else is the machine's own words.
	lines, last := bufio.NewReader(connection), ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if last != "" {
			fmt.Fprint(os.Stderr, last)
		}
		last = line
	}
	code := 125
	fmt.Sscanf(last, "exit %d", &code)
	return code
}

func serve(socket string, program []string) {
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err == nil {
		err = os.Chmod(socket, 0o666) // its directory says who may come here
	}
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go run(connection.(*net.UnixConn), program)
	}
}

func run(connection *net.UnixConn, program []string) {
	defer connection.Close()
	input := bufio.NewReader(connection)
	line, err := input.ReadBytes('\n')
	var arguments []string
	if err == nil {
		err = json.Unmarshal(line, &arguments)
	}
	if err != nil {
		log.Print("not a request: ", err)
		return
	}
	command := exec.Command(program[0], append(slices.Clone(program[1:]), arguments...)...)
	command.Stdout, command.Stderr = connection, connection
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		fmt.Fprintf(connection, "%v\nexit 125\n", err)
		return
	}
	powerOff := func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	ended := make(chan struct{})
	go func() { // whoever booted it is gone: end of file
		io.Copy(io.Discard, input)
		powerOff()
	}()
	go keepReadable(arguments, ended)
	command.Wait()
	powerOff() // what it left of its group
	close(ended)
	fmt.Fprintf(connection, "exit %d\n", command.ProcessState.ExitCode())
}

// keepReadable gives what appears on the machine's disk to the owner of the disk until the machine ends.
func keepReadable(arguments []string, ended chan struct{}) {
	at := slices.Index(arguments, "--disk")
	if at < 0 || at+1 >= len(arguments) {
		return
	}
	disk := arguments[at+1]
	owner := syscall.Stat_t{}
	if err := syscall.Stat(disk, &owner); err != nil {
		return
	}
	for last := false; ; {
		filepath.WalkDir(disk, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				os.Lchown(path, int(owner.Uid), int(owner.Gid))
			}
			return nil
		})
		if last {
			return
		}
		select {
		case <-ended:
			last = true
		case <-time.After(200 * time.Millisecond):
		}
	}
}
