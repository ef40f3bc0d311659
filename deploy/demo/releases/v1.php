<?php
return ['name' => 'v1', 'colour' => '#2a6fdb'];
