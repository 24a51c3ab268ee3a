#!/usr/bin/env bash
# Runs every test, with private servers of PostgreSQL and MariaDB that live only as long as the tests do.
#
# Arguments go to `cargo test`: ./test.sh --lib settings
# With a private sandbox of Azure as well, and all tests that need it: ./test.sh --azure, before any other arguments
# The witnesses alone, those whose names contain a word: ./test.sh --witness WORD
# Any other command gets the same servers by: ./test.sh --run COMMAND ARGUMENTS
# The last line says how many tests passed, failed and were skipped. Needs Rust and OpenSSL; a missing server is
# installed when this is a Debian-like system and the user is root.
set -euo pipefail
cd "$(dirname "$0")"

work=""          # everything this script writes, removed at the end
server_user=""   # who runs the server; empty for the present user
mariadb=""       # the process of MariaDB
azure=""         # set when there is to be a sandbox
sandbox=""       # the process of the sandbox
target=${CARGO_TARGET_DIR:-target}
job=""           # the process group of the running tests

main() {
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if [[ ${1:-} == --azure ]]; then
        azure=yes
        shift
    elif [[ ${1:-} == --witness ]]; then
        azure=yes
    fi

    find_postgres || install_postgres
    find_pgbouncer || install_pgbouncer
    find_mariadb || install_mariadb
    choose_server_user
    [[ -z $server_user ]] || export SBM_TEST_SERVER_USER=$server_user
    make_work_folder
    make_certificates
    start_postgres
    [[ -z $mariadbd ]] || start_mariadb
    export SBM_TEST_SKIPPED_FILE="$work/skipped"
    : >"$SBM_TEST_SKIPPED_FILE"
    chmod a+rw "$SBM_TEST_SKIPPED_FILE"
    : >"$work/absent"
    if [[ -n $azure ]]; then
        find_node || install_node
        start_sandbox
    fi

    local code=0
    if [[ ${1:-} == --run ]]; then
        run_in_group "${@:2}" || code=$?
        exit "$code"
    fi
    run_tests "$@" || code=$?
    show_count "$code"
}

# --- PostgreSQL ---

# Sets `bin`, the folder of the newest server's programs.
find_postgres() {
    bin=""
    local initdb
    for initdb in $(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V); do
        [[ -x $initdb ]] && bin=$(dirname "$initdb")
    done
    if [[ -z $bin ]] && initdb=$(command -v initdb); then
        bin=$(dirname "$(readlink -f "$initdb")")
    fi
    [[ -n $bin ]]
}

install_postgres() {
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        fail "the tests need a PostgreSQL server: install the package that has initdb and pg_ctl, on Debian and Ubuntu" \
            "with: sudo apt-get install postgresql"
    fi
    echo "installing PostgreSQL"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y postgresql </dev/null ||
        { apt-get update </dev/null && apt-get install -y postgresql </dev/null; }
    find_postgres || fail "initdb is still missing after the installation of postgresql"
}

# One test needs a transaction pooler; without one it says that it is skipped.
find_pgbouncer() {
    local program
    for program in "$(command -v pgbouncer || true)" /usr/sbin/pgbouncer; do
        if [[ -n $program && -x $program ]]; then
            export SBM_TEST_PGBOUNCER=$program
            return 0
        fi
    done
    return 1
}

install_pgbouncer() {
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return 0
    echo "installing pgbouncer"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y pgbouncer || { apt-get update && apt-get install -y pgbouncer; }; } </dev/null || true
    find_pgbouncer || echo "pgbouncer cannot be installed; its test is skipped"
}

# PostgreSQL refuses to run as root.
choose_server_user() {
    [[ $(id -u) -eq 0 ]] || return 0
    if id postgres >/dev/null 2>&1; then
        server_user=postgres
    else
        server_user=sbm-test
        id "$server_user" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$server_user"
    fi
}

as_server_user() {
    if [[ -n $server_user ]]; then
        (cd / && runuser -u "$server_user" -- "$@")
    else
        "$@"
    fi
}

# The server's user has to reach the folder, whatever the permissions of TMPDIR are.
make_work_folder() {
    local parent
    for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
        [[ -d $parent && -w $parent ]] || continue
        work=$(mktemp -d "$parent/sbm-test.XXXXXX")
        chmod 755 "$work"
        if as_server_user test -x "$work"; then
            break
        fi
        rm -rf "$work"
        work=""
    done
    [[ -n $work ]] || fail "no temporary folder that the user ${server_user:-$(id -un)} can enter; set TMPDIR"
    mkdir "$work/server" "$work/certificates"
    [[ -z $server_user ]] || chown "$server_user" "$work/server"
}

# A throw-away authority, and a certificate of it for the names by which tests reach the server.
make_certificates() {
    command -v openssl >/dev/null || fail "the tests need the program openssl to make throw-away certificates"
    local folder=$work/certificates
    cat >"$folder/openssl.cnf" <<'CONFIGURATION'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
CONFIGURATION
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config "$folder/openssl.cnf")
    {
        openssl req -x509 "${key[@]}" -extensions authority -subj "/CN=sbm test authority" -days 2 \
            -keyout "$folder/ca.key" -out "$folder/ca.pem"
        openssl req "${key[@]}" -subj "/CN=localhost" -keyout "$folder/server.key" -out "$folder/server.csr"
        openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial \
            -extfile "$folder/openssl.cnf" -extensions server -days 2 -out "$folder/server.pem"
    } >"$folder/log" 2>&1 || fail "openssl cannot make certificates: $(cat "$folder/log")"
    chmod 600 "$folder/server.key" "$folder/ca.key"
    [[ -z $server_user ]] || chown "$server_user" "$folder/server.key"
    export SBM_TEST_POSTGRES_CA=$folder/ca.pem
}

start_postgres() {
    local data=$work/server/data port
    as_server_user "$bin/initdb" -D "$data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$work/log" 2>&1 ||
        fail "initdb failed: $(cat "$work/log")"
    configure_postgres "$data"
    # Whether a port is free is known only to those who take it.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 12000))
        if as_server_user "$bin/pg_ctl" -D "$data" -l "$work/server/log" -w -o "-p $port" start >"$work/log" 2>&1 </dev/null; then
            export SBM_TEST_POSTGRES_BIN=$bin
            export SBM_TEST_POSTGRES_URL=postgresql://postgres@127.0.0.1:$port/postgres
            make_password_user "$port"
            echo "PostgreSQL $("$bin/postgres" --version | sed 's/[^0-9]*//') listens on 127.0.0.1:$port"
            return
        fi
        grep -qi 'address already in use' "$work/server/log" || break
        rm -f "$work/server/log"
    done
    fail "PostgreSQL does not start: $(cat "$work/log" "$work/server/log" 2>/dev/null)"
}

# The data need not survive a power cut. One user has a password; all others are trusted, on this machine alone.
configure_postgres() {
    as_server_user tee -a "$1/postgresql.conf" >/dev/null <<CONFIGURATION
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work/server'
max_connections = 400
max_prepared_transactions = 10
fsync = off
full_page_writes = off
synchronous_commit = off
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '$work/certificates/server.pem'
ssl_key_file = '$work/certificates/server.key'
CONFIGURATION
    as_server_user tee "$1/pg_hba.conf" >/dev/null <<'CONFIGURATION'
local  all  postgres                    trust
host   all  +sbm_password 127.0.0.1/32  scram-sha-256
host   all  all           127.0.0.1/32  trust
CONFIGURATION
}

make_password_user() {
    SBM_TEST_POSTGRES_PASSWORD=$(openssl rand -hex 16)
    export SBM_TEST_POSTGRES_PASSWORD
    "$bin/psql" -q -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U postgres -d postgres >/dev/null <<STATEMENTS
create role sbm_password login createdb password '$SBM_TEST_POSTGRES_PASSWORD';
STATEMENTS
}

# --- MariaDB ---

# Sets `mariadbd`, the server; empty when there is none, and then its tests say that they are skipped.
find_mariadb() {
    mariadbd=""
    local program
    for program in "$(command -v mariadbd || true)" /usr/sbin/mariadbd; do
        if [[ -n $program && -x $program ]] && command -v mariadb-install-db >/dev/null; then
            mariadbd=$program
            return 0
        fi
    done
    return 1
}

install_mariadb() {
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return 0
    echo "installing MariaDB"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y mariadb-server || { apt-get update && apt-get install -y mariadb-server; }; } </dev/null || true
    find_mariadb || echo "MariaDB cannot be installed; its tests are skipped"
}

start_mariadb() {
    local folder=$work/server/mariadb port password
    password=$(openssl rand -hex 16)
    as_server_user mkdir "$folder"
    as_server_user mariadb-install-db --no-defaults --datadir="$folder/data" --auth-root-authentication-method=normal \
        --skip-test-db >"$work/log" 2>&1 || fail "mariadb-install-db failed: $(cat "$work/log")"
    as_server_user tee "$folder/init.sql" >/dev/null <<STATEMENTS
CREATE USER IF NOT EXISTS sbm@'%' IDENTIFIED BY '$password';
GRANT ALL ON *.* TO sbm@'%' WITH GRANT OPTION;
STATEMENTS
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 12000))
        run_mariadb "$folder" "$port"
        if wait_for_mariadb "$folder"; then
            export SBM_TEST_MYSQL_URL=mysql://sbm:$password@127.0.0.1:$port
            export SBM_TEST_MYSQL_CA=$work/certificates/ca.pem
            echo "MariaDB $("$mariadbd" --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/') listens on 127.0.0.1:$port"
            return
        fi
        stop_mariadb
        grep -qi 'address already in use' "$folder/log" || break
        as_server_user rm -f "$folder/log"
    done
    fail "MariaDB does not start: $(cat "$folder/log" 2>/dev/null)"
}

# The data need not survive a power cut.
run_mariadb() {
    local as=()
    [[ -z $server_user ]] || as=(runuser -u "$server_user" --)
    # Without a shell between them, so that a signal arrives.
    "${as[@]}" "$mariadbd" --no-defaults --datadir="$1/data" --socket="$1/socket" --pid-file="$1/pid" \
        --bind-address=127.0.0.1 --port="$2" --skip-name-resolve --skip-log-bin --init-file="$1/init.sql" \
        --max-connections=500 --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-log-file-size=16M \
        --ssl-ca="$work/certificates/ca.pem" --ssl-cert="$work/certificates/server.pem" \
        --ssl-key="$work/certificates/server.key" >>"$1/log" 2>&1 </dev/null &
    mariadb=$!
}

# It writes its process id when it is ready for connections.
wait_for_mariadb() {
    local waited
    for ((waited = 0; waited < 600; waited++)); do
        kill -0 "$mariadb" 2>/dev/null || return 1
        [[ ! -e $1/pid ]] || return 0
        sleep 0.1
    done
    return 1
}

stop_mariadb() {
    [[ -n $mariadb ]] || return 0
    kill -TERM "$mariadb" 2>/dev/null || true
    wait "$mariadb" 2>/dev/null || true
    mariadb=""
}

# --- The sandbox of Azure ---

# Blobs are Azurite, a program for Node.js; and one of the witnesses is written for it.
find_node() {
    command -v node >/dev/null && command -v npm >/dev/null
}

install_node() {
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return 0
    echo "installing Node.js"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y nodejs npm || { apt-get update && apt-get install -y nodejs npm; }; } </dev/null || true
    find_node || echo "Node.js cannot be installed; the tests of blobs are skipped"
}

# A sandbox that runs already is used when SBM_TEST_SANDBOX names its file.
start_sandbox() {
    [[ -z ${SBM_TEST_SANDBOX:-} ]] || return 0
    # Of the workspace, so that the tests need not build the same libraries with other features.
    cargo build --workspace --bin sbm-sandbox </dev/null || fail "the sandbox cannot be built"
    if find_node; then
        run_sandbox && return
        echo "the sandbox does not start with blobs: $(cat "$work/sandbox.log")"
    fi
    run_sandbox --without-blob || fail "the sandbox does not start: $(cat "$work/sandbox.log")"
    skip "install Node.js with npm" "the tests of blobs"
}

# It writes its file when everything listens. The first time it installs Azurite, which can take minutes.
run_sandbox() {
    local file=$work/sandbox/sandbox.json waited
    "$target/debug/sbm-sandbox" --folder "$work/sandbox" "$@" >"$work/sandbox.log" 2>&1 </dev/null &
    sandbox=$!
    for ((waited = 0; waited < 9000; waited++)); do
        if [[ -e $file ]]; then
            export SBM_TEST_SANDBOX=$file
            echo "the sandbox is described by $file"
            return 0
        fi
        kill -0 "$sandbox" 2>/dev/null || break
        sleep 0.1
    done
    stop_sandbox
    return 1
}

stop_sandbox() {
    [[ -n $sandbox ]] || return 0
    kill -TERM "$sandbox" 2>/dev/null || true
    wait "$sandbox" 2>/dev/null || true
    sandbox=""
}

# --- Tests ---

# Everything without arguments. All are run, whatever fails; the output is kept for the count.
run_tests() {
    local code=0
    if [[ ${1:-} == --witness ]]; then
        run_in_group run_witnesses "${@:2}" || code=$?
        return "$code"
    fi
    run_in_group cargo test --workspace --no-fail-fast "$@" || code=$?
    if [[ $# -eq 0 && -n $azure ]]; then
        run_in_group run_witnesses || code=$?
    elif [[ $# -eq 0 ]]; then
        skip "give --azure" "Microsoft's clients against the sandbox"
    fi
    return "$code"
}

# Microsoft's own clients, which judge the sandbox.
run_witnesses() {
    local code=0
    python_witness "$@" || code=$?
    javascript_witness "$@" || code=$?
    return "$code"
}

python_witness() {
    local source=tests/witness/python folder
    folder=$(witness_folder python "$source/requirements.txt")
    if [[ ! -e $folder/complete ]] && ! install_python "$folder" "$source/requirements.txt" >"$work/pip.log" 2>&1; then
        echo "the Python witness cannot be installed: $(tail -n 5 "$work/pip.log")"
        skip "install Python 3.9 or newer with pip and venv" "the Python witness"
        return 0
    fi
    "$folder/bin/python" "$source/run.py" "$@"
}

install_python() {
    rm -rf "$1"
    python3 -m venv "$1" || { install_venv && python3 -m venv "$1"; } || return 1
    "$1/bin/pip" install --disable-pip-version-check --requirement "$2" && touch "$1/complete"
}

install_venv() {
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y python3-venv || { apt-get update && apt-get install -y python3-venv; }
}

javascript_witness() {
    local source=tests/witness/javascript folder
    folder=$(witness_folder javascript "$source/package-lock.json")
    if ! node_is_new_enough; then
        skip "install Node.js 20 or newer with npm" "the JavaScript witness"
        return 0
    fi
    if [[ ! -e $folder/complete ]] && ! install_javascript "$folder" "$source" >"$work/npm.log" 2>&1; then
        echo "the JavaScript witness cannot be installed: $(tail -n 5 "$work/npm.log")"
        skip "let npm reach its registry" "the JavaScript witness"
        return 0
    fi
    # Modules look for their libraries beside themselves.
    rm -rf "$folder/source"
    cp -R "$source" "$folder/source"
    node "$folder/source/run.mjs" "$@"
}

node_is_new_enough() {
    find_node && [[ $(node -p 'parseInt(process.versions.node)') -ge 20 ]]
}

install_javascript() {
    rm -rf "$1"
    mkdir -p "$1"
    cp "$2/package.json" "$2/package-lock.json" "$1"
    (cd "$1" && npm ci --no-audit --no-fund --ignore-scripts) && touch "$1/complete"
}

# What is installed outlives the run, until something else is to be installed.
witness_folder() {
    echo "$PWD/target/witness/$1-$(cksum <"$2" | cut -d ' ' -f 1)"
}

# A line as tests write it that skip themselves. These have not passed in anybody's eyes.
skip() {
    echo "skipped: $1 to run $2" >>"$work/absent"
}

# In a process group of its own, so that a signal to this script ends all of it at once, and a Ctrl-C that a test sends itself
# is not blocked as it would be for other background processes. The output is added to a file, too.
run_in_group() {
    set -m
    (set -o pipefail; "$@" 2>&1 </dev/null | tee -a "$work/output") &
    job=$!
    set +m
    local code=0
    wait "$job" || code=$?
    job=""
    return "$code"
}

# Prints the count and ends with the tests' result. No test at all is no success.
show_count() {
    local code=$1 passed failed ignored skipped absent
    passed=$(sum passed)
    failed=$(sum failed)
    ignored=$(sum ignored)
    skipped=$(sort -u "$SBM_TEST_SKIPPED_FILE" | grep -c . || true)
    sort -u "$SBM_TEST_SKIPPED_FILE"
    # A test that skips itself has passed in the eyes of the test program.
    passed=$((passed > skipped ? passed - skipped : 0))
    absent=$(grep -c . "$work/absent" || true)
    cat "$work/absent"
    if [[ $((passed + failed)) -eq 0 ]]; then
        echo "no test ran" >&2
        code=1
    fi
    if [[ $failed -gt 0 && $code -eq 0 ]]; then
        code=1
    fi
    echo "$passed passed, $failed failed, $((skipped + ignored + absent)) skipped"
    exit "$code"
}

# Adds up one number of all result lines of the test programs.
sum() {
    awk -v word="$1" '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i == word || $i == word ";") total += $(i - 1)
            }
        }
        END { print total + 0 }' "$work/output"
}

# --- Ending ---

clean_up() {
    local code=$?
    trap '' INT TERM HUP
    if [[ -n $job ]]; then
        kill -TERM -- "-$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    fi
    stop_sandbox
    stop_mariadb
    if [[ -n $work ]]; then
        if [[ -e $work/server/data/postmaster.pid ]]; then
            as_server_user "$bin/pg_ctl" -D "$work/server/data" -m immediate -w stop >/dev/null 2>&1 || true
        fi
        rm -rf "$work"
    fi
    exit "$code"
}

fail() {
    echo "error: $*" >&2
    exit 1
}

main "$@"
