<!doctype html>
<title>Finches</title>
<link rel="stylesheet" href="{{ asset('app.' . config('app.release') . '.css') }}">
<p id="release">{{ config('app.release') }}</p>
<p id="visits">{{ session('visits') }}</p>
<p id="status">{{ session('status') }}</p>
@foreach ($errors->all() as $error)<p class="error">{{ $error }}</p>@endforeach
<form method="post" action="{{ url('/notes') }}">@csrf<input name="text"></form>
<ul>@foreach ($notes as $note)<li>{{ $note }}</li>@endforeach</ul>
