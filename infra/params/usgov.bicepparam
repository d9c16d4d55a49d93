using '../main.bicep'

// Azure Government: for providers whose clients handle CUI. Premium, because there is no Flex Consumption there. A copy
// of this file is your own (infra/README.md): the regions, the address of alerts and the mail server, and after
// infra/sign-in what that printed.
param namePrefix = 'assay'
param location = 'usgovvirginia'
param allowedLocations = ['usgovvirginia']
param dataBoundary = 'gov-CUI'
param alertEmail = 'alerts@example.net'
param hosting = 'premium'
param maxInstances = 5
// The default is reckoned from the public cloud's prices.
param monthlyBudget = 900
param mail = 'smtp'
param smtpHost = 'smtp.example.net'
param smtpUser = 'assay'
// Never in a file, and not on the command line either: read -rs SMTP_PASSWORD; export SMTP_PASSWORD
param smtpPassword = readEnvironmentVariable('SMTP_PASSWORD', '')
param mailFrom = 'assay@example.net'
// The program is published by hand (infra/README.md); the Marketplace sets this itself.
param _artifactsLocation = ''
