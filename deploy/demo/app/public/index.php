<?php
// The front controller: every path that is not a script of its own ends here.
declare(strict_types=1);

require __DIR__ . '/../src/bootstrap.php';

use function Demo\{page, json, form_value, notes, add_note, release, redirect, store_upload, text};

Demo\begin();

$path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$method = $_SERVER['REQUEST_METHOD'];

switch (true) {
    case $path === '/' || $path === '/index.php':
        $items = '';
        foreach (notes(8) as $note) {
            $items .= '<li>' . text($note['body']) . ' <small>' . text($note['author']) . ', release '
                . text($note['release']) . '</small></li>';
        }
        page('Guest book', '<form method="post" action="/notes">'
            . '<input name="body" maxlength="200" placeholder="Leave a line" required><button>Write</button></form>'
            . '<ul>' . ($items ?: '<li>Nobody has written yet.</li>') . '</ul>');
        break;

    case $path === '/notes' && $method === 'POST':
        $body = form_value('body');
        if ($body === '') {
            page('Guest book', '<p>A line needs some words.</p>', 422);
            break;
        }
        add_note($body, $_SESSION['name'] ?? 'a guest');
        redirect('/');
        break;

    case $path === '/api/notes' && $method === 'GET':
        json(['release' => release('name'), 'notes' => notes(20)]);
        break;

    case $path === '/api/notes' && $method === 'POST':
        $input = json_decode((string) file_get_contents('php://input'), true);
        if (!is_array($input) || !is_string($input['body'] ?? null) || $input['body'] === '') {
            json(['error' => 'expected {"body": "some text"}'], 422);
            break;
        }
        json(['release' => release('name'), 'id' => add_note($input['body'], 'the API')], 201);
        break;

    case $path === '/session':
        // Sessions live in shared storage: whoever is moved between the pools stays logged in.
        if ($method === 'POST') {
            $_SESSION['name'] = form_value('name') ?: 'a guest';
        }
        $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        json(['release' => release('name'), 'name' => $_SESSION['name'] ?? null, 'visits' => $_SESSION['visits']]);
        break;

    case $path === '/upload' && $method === 'POST':
        store_upload($_FILES['file'] ?? null);
        break;

    case $path === '/health':
        json(['status' => 'ok', 'release' => release('name')]);
        break;

    default:
        page('Not found', '<p>There is no page here.</p>', 404);
}
