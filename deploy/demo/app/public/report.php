<?php
// A second script beside the front controller, with PATH_INFO:
// /report.php/authors counts by author, /report.php by release.
declare(strict_types=1);

require __DIR__ . '/../src/bootstrap.php';

Demo\begin();

$column = trim($_SERVER['PATH_INFO'] ?? '', '/') === 'authors' ? 'author' : 'release';
$rows = Demo\database()->query("SELECT $column AS name, COUNT(*) AS notes FROM notes GROUP BY $column ORDER BY 2 DESC")
    ->fetchAll();
Demo\json(['release' => Demo\release('name'), 'by' => $column, 'rows' => $rows]);
