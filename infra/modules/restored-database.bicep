// Looks at the account that was restored, before anything is made: a name that is written wrong would make a new and empty
// database, and lead the app to it. Makes nothing. Where the account is not there, Azure says so by its name.

@description('Required. The account, in this resource group.')
param accountName string

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

@description('Its address.')
output endpoint string = account.properties.documentEndpoint
