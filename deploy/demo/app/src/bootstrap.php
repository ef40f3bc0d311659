<?php
// A guest book, small but real: database, sessions, forms, uploads, JSON. Every
// answer says which release gave it, in the X-Release header and in the body.
declare(strict_types=1);

namespace Demo;

/** What this release is: its name, its colour and, in a bad one, its faults. */
function release(string $key): mixed
{
    static $release = null;
    $release ??= require __DIR__ . '/../release.php';
    return $release[$key] ?? null;
}

/** Data that outlives a release: database, sessions and uploads. */
function storage(string $part): string
{
    $directory = (getenv('DEMO_STORAGE') ?: sys_get_temp_dir() . '/serin-demo') . '/' . $part;
    if (!is_dir($directory) && !@mkdir($directory, 0770, true) && !is_dir($directory)) {
        throw new \RuntimeException("storage directory $directory cannot be made");
    }
    return $directory;
}

function begin(): void
{
    header('X-Release: ' . release('name'));
    header('Cache-Control: no-store');
    // A session is started only for who has one or asks for one, or each probe would leave a file behind.
    $path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    if (isset($_COOKIE['demo_session']) || $path === '/session') {
        session_save_path(storage('sessions'));
        session_name('demo_session');
        session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true]);
    }
    $fault = release('fault');
    if ($fault !== null) {
        $fault();
    }
}

function database(): \PDO
{
    static $database = null;
    if ($database === null) {
        $database = new \PDO('sqlite:' . storage('database') . '/notes.sqlite', null, null, [
            \PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION,
            \PDO::ATTR_DEFAULT_FETCH_MODE => \PDO::FETCH_ASSOC,
            \PDO::ATTR_TIMEOUT => 5,
        ]);
        // Old and new release share the table, so it may only ever grow columns.
        $database->exec('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL,'
            . ' author TEXT NOT NULL, release TEXT NOT NULL, at INTEGER NOT NULL)');
    }
    return $database;
}

/** @return list<array<string, mixed>> newest first */
function notes(int $limit): array
{
    $query = database()->prepare('SELECT id, body, author, release, at FROM notes ORDER BY id DESC LIMIT ?');
    $query->execute([$limit]);
    return $query->fetchAll();
}

function add_note(string $body, string $author): int
{
    $query = database()->prepare('INSERT INTO notes (body, author, release, at) VALUES (?, ?, ?, ?)');
    $query->execute([first_characters($body, 200), $author, release('name'), time()]);
    return (int) database()->lastInsertId();
}

/** Without the mbstring extension, which the demo does not ask for. */
function first_characters(string $text, int $count): string
{
    return preg_match('/^.{0,' . $count . '}/us', $text, $match) === 1 ? $match[0] : '';
}

function form_value(string $name): string
{
    $value = $_POST[$name] ?? '';
    return is_string($value) ? trim($value) : '';
}

function store_upload(?array $file): void
{
    if ($file === null || $file['error'] !== UPLOAD_ERR_OK) {
        json(['error' => 'expected a file in the field "file"', 'code' => $file['error'] ?? null], 422);
        return;
    }
    $hash = hash_file('sha256', $file['tmp_name']);
    move_uploaded_file($file['tmp_name'], storage('uploads') . '/' . $hash);
    json(['release' => release('name'), 'sha256' => $hash, 'bytes' => $file['size']], 201);
}

function text(mixed $value): string
{
    return htmlspecialchars((string) $value, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

function json(array $value, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

function redirect(string $path): void
{
    http_response_code(303);
    header('Location: ' . $path);
}

function page(string $title, string $body, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    $colour = release('colour');
    echo '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        '<title>', text($title), '</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;',
        'padding:0 1em}header{border-bottom:4px solid ', text($colour), '}small{color:#666}</style>',
        '<header><h1>', text($title), '</h1><p>You are looking at release <b>', text(release('name')), '</b>.</p></header>',
        $body, "</html>\n";
}
